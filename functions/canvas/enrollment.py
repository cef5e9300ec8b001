"""`enrollment_created` and `enrollment_updated`: who is enrolled where, in which role."""

from typing import ClassVar

from functions.canvas.event import CanvasEvent, CanvasModel, Detail
from functions.canvas.fields import CanvasId, Timestamp

WORKFLOW_STATES = frozenset(
    {"invited", "creation_pending", "active", "deleted", "rejected", "completed", "inactive"},
)
"""The states known today. An open set. Source: canvas-lms, `Enrollment`'s workflow."""


class EnrollmentBody(CanvasModel):
    """Body of both events: one builder in Canvas serves them.

    Ids are global. What may be null or missing is what Canvas' own schema lets be null, or what older versions do not
    send.
    """

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
    """The message of both events."""

    body: EnrollmentBody


class EnrollmentCreated(CanvasEvent):
    """A user was enrolled in a course."""

    event_name: ClassVar[str] = "enrollment_created"
    detail: EnrollmentDetail


class EnrollmentUpdated(CanvasEvent):
    """An enrollment was changed. May be the first, or the only, event of an enrollment that ever arrives."""

    event_name: ClassVar[str] = "enrollment_updated"
    detail: EnrollmentDetail
