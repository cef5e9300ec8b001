"""`enrollment_state_created` and `enrollment_state_updated`: what an enrollment allows its user, now."""

from typing import ClassVar

from functions.canvas.enrollment import WORKFLOW_STATES
from functions.canvas.event import CanvasEvent, CanvasModel, Detail
from functions.canvas.fields import CanvasId, Timestamp

STATES = WORKFLOW_STATES | {"pending_invited", "pending_active"}
"""The states known today. An open set. Source: canvas-lms, `EnrollmentState`."""


class EnrollmentStateBody(CanvasModel):
    """Body of both events. Only the id is sure: a state that is being computed has nulls."""

    enrollment_id: CanvasId
    state: str | None = None
    state_started_at: Timestamp | None = None
    state_valid_until: Timestamp | None = None
    state_is_current: bool | None = None
    restricted_access: bool | None = None
    access_is_current: bool | None = None


class EnrollmentStateDetail(Detail):
    """The message of both events."""

    body: EnrollmentStateBody


class EnrollmentStateCreated(CanvasEvent):
    """An enrollment got its first state."""

    event_name: ClassVar[str] = "enrollment_state_created"
    detail: EnrollmentStateDetail


class EnrollmentStateUpdated(CanvasEvent):
    """An enrollment's state changed, by a person or by a date that passed."""

    event_name: ClassVar[str] = "enrollment_state_updated"
    detail: EnrollmentStateDetail
