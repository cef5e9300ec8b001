"""Models of the events `enrollment_state_created` and `enrollment_state_updated`: the effective state and access."""

from typing import ClassVar

from functions.canvas.enrollment import WORKFLOW_STATES
from functions.canvas.event import CanvasEvent, CanvasModel, Detail
from functions.canvas.fields import CanvasId, Timestamp

STATES = WORKFLOW_STATES | {"pending_invited", "pending_active"}
"""Known values of `state`; Canvas may add others. Source: canvas-lms, `EnrollmentState`."""


class EnrollmentStateBody(CanvasModel):
    """Body of both events. All fields but the id are null while Canvas computes the state."""

    enrollment_id: CanvasId
    state: str | None = None
    state_started_at: Timestamp | None = None
    state_valid_until: Timestamp | None = None
    state_is_current: bool | None = None
    restricted_access: bool | None = None
    access_is_current: bool | None = None


class EnrollmentStateDetail(Detail):
    """Canvas message of both events."""

    body: EnrollmentStateBody


class EnrollmentStateCreated(CanvasEvent):
    """The first state of an enrollment was computed."""

    event_name: ClassVar[str] = "enrollment_state_created"
    detail: EnrollmentStateDetail


class EnrollmentStateUpdated(CanvasEvent):
    """The state of an enrollment changed, by a person or because a date passed."""

    event_name: ClassVar[str] = "enrollment_state_updated"
    detail: EnrollmentStateDetail
