"""From enrollment events to the item of table `enrollments`. Two record families share it, each with its version."""

from functions.canvas.enrollment import WORKFLOW_STATES, EnrollmentCreated, EnrollmentUpdated
from functions.canvas.enrollment_state import STATES, EnrollmentStateCreated, EnrollmentStateUpdated
from functions.canvas.fields import format_timestamp
from functions.state.change import Change


def enrollment_snapshot(event: EnrollmentCreated | EnrollmentUpdated) -> Change:
    """The enrollment family after `event`."""
    body = event.detail.body
    event_time = format_timestamp(event.event_time)
    return Change(
        key={"enrollment_id": body.enrollment_id},
        attributes=body.model_dump(exclude={"enrollment_id"}) | {"enrollment_event_time": event_time},
        event_time=event_time,
        rank=0 if isinstance(event, EnrollmentCreated) else 1,
        version_attribute="enrollment_version",
        state_is_known=body.workflow_state in WORKFLOW_STATES,
    )


def state_snapshot(event: EnrollmentStateCreated | EnrollmentStateUpdated) -> Change:
    """The enrollment-state family after `event`."""
    body = event.detail.body
    event_time = format_timestamp(event.event_time)
    return Change(
        key={"enrollment_id": body.enrollment_id},
        attributes=body.model_dump(exclude={"enrollment_id"}) | {"state_event_time": event_time},
        event_time=event_time,
        rank=0 if isinstance(event, EnrollmentStateCreated) else 1,
        version_attribute="state_version",
        state_is_known=body.state is None or body.state in STATES,
    )
