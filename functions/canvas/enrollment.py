"""Models of the events `enrollment_created` and `enrollment_updated`."""

from typing import ClassVar

from functions.canvas.event import CanvasEvent, CanvasModel, Detail
from functions.canvas.fields import CanvasId, Timestamp

WORKFLOW_STATES = frozenset({"invited", "creation_pending", "active", "deleted", "rejected", "completed", "inactive"})
"""Known values of `workflow_state`; Canvas may add others. Source: canvas-lms, workflow of `Enrollment`."""


class EnrollmentBody(CanvasModel):
    """Body of both events, with global ids. Optional fields are nullable in Canvas, or missing in older versions."""

    enrollment_id: CanvasId
    course_id: CanvasId
    course_section_id: CanvasId
    user_id: CanvasId
    user_name: str | None = None
    type: str
    workflow_state: str
    associated_user_id: CanvasId | None = None  # observers only, and null while unassigned
    limit_privileges_to_course_section: bool | None = None
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None
    course_uuid: str | None = None  # newer Canvas only
    user_uuid: str | None = None  # newer Canvas only


class EnrollmentDetail(Detail):
    """Canvas message of both events."""

    body: EnrollmentBody


class EnrollmentCreated(CanvasEvent):
    """A user was enrolled in a course."""

    event_name: ClassVar[str] = "enrollment_created"
    detail: EnrollmentDetail


class EnrollmentUpdated(CanvasEvent):
    """An enrollment was changed. It can arrive before `enrollment_created`, or without it."""

    event_name: ClassVar[str] = "enrollment_updated"
    detail: EnrollmentDetail
