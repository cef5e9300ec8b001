"""The event as a team would model it on an afternoon: the message in Powertools' envelope for EventBridge."""

from datetime import datetime

from pydantic import BaseModel


class Metadata(BaseModel):
    event_name: str
    event_time: datetime


class Body(BaseModel):
    enrollment_id: str
    course_id: str
    course_section_id: str
    user_id: str
    user_name: str | None = None
    type: str
    workflow_state: str
    associated_user_id: str | None = None
    limit_privileges_to_course_section: bool | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Message(BaseModel):
    metadata: Metadata
    body: Body
