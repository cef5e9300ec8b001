"""Projects enrollment events to items of table `enrollments`, which hold two record families with a version each."""

from functions.canvas.enrollment import WORKFLOW_STATES, EnrollmentCreated, EnrollmentUpdated
from functions.canvas.enrollment_state import STATES, EnrollmentStateCreated, EnrollmentStateUpdated
from functions.projection.change import Change

_CREATED = 0
_UPDATED = 1


def enrollment_snapshot(event: EnrollmentCreated | EnrollmentUpdated) -> Change:
    """Snapshot of the enrollment family after `event`."""
    return _snapshot(
        event,
        family="enrollment",
        rank=_CREATED if isinstance(event, EnrollmentCreated) else _UPDATED,
        state_is_known=event.detail.body.workflow_state in WORKFLOW_STATES,
    )


def state_snapshot(event: EnrollmentStateCreated | EnrollmentStateUpdated) -> Change:
    """Snapshot of the enrollment-state family after `event`. The state is null while Canvas computes it."""
    return _snapshot(
        event,
        family="state",
        rank=_CREATED if isinstance(event, EnrollmentStateCreated) else _UPDATED,
        state_is_known=event.detail.body.state is None or event.detail.body.state in STATES,
    )


def _snapshot(
    event: EnrollmentCreated | EnrollmentUpdated | EnrollmentStateCreated | EnrollmentStateUpdated,
    *,
    family: str,
    rank: int,
    state_is_known: bool,
) -> Change:
    # The models have converted every value to its stored form.
    attributes = vars(event.detail.body) | {f"{family}_event_time": event.event_time}
    return Change(
        key={"enrollment_id": attributes.pop("enrollment_id")},
        attributes=attributes,
        event_time=event.event_time,
        rank=rank,
        version_attribute=f"{family}_version",
        state_is_known=state_is_known,
    )
