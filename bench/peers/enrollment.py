"""Simple pydantic model of the message: an EventBridge event in an SQS message."""

from datetime import datetime

from aws_lambda_powertools.utilities.parser.models import EventBridgeModel, SqsRecordModel
from pydantic import BaseModel, Json


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


class Detail(BaseModel):
    metadata: Metadata
    body: Body

    def item(self):
        event_time = self.metadata.event_time.isoformat()
        return {**self.body.model_dump(mode="json", exclude_none=True), "event_time": event_time}


class Event(EventBridgeModel):
    detail: Detail


class Record(SqsRecordModel):
    body: Json[Event]
