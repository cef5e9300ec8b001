"""Base model of the six events: an EventBridge event whose detail is a Canvas message."""

from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.parser.models import EventBridgeModel
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_core import ErrorDetails

from functions.canvas.envelope import open_envelope
from functions.canvas.fields import Timestamp
from functions.canvas.rejection import RejectedEvent

_WHY_NEEDED = {
    "metadata.event_name": ", so the type of the event is unknown",
    "metadata.event_time": ", so the event cannot be ordered",
    "metadata.root_account_id": ", so the import cannot be attributed to a school",
}


class CanvasModel(BaseModel):
    """Base model of the parts of a Canvas message. Ignores unknown keys, which Canvas adds without notice."""

    model_config = ConfigDict(frozen=True)


class Metadata(CanvasModel):
    """The two metadata keys that Canvas guarantees."""

    event_name: str
    event_time: Timestamp


class Detail(CanvasModel):
    """Canvas message, in the `detail` of an EventBridge event."""

    metadata: Metadata


class CanvasEvent(EventBridgeModel):
    """A Canvas event as EventBridge delivers it to the queue of `event_name`."""

    # pydantic reads this setting from the outermost model only.
    model_config = ConfigDict(hide_input_in_errors=True)

    event_name: ClassVar[str]

    detail: Detail

    @property
    def event_time(self) -> str:
        """Time of the change, in the stored form. Nothing else orders events."""
        return self.detail.metadata.event_time

    @property
    def instant(self) -> datetime:
        """`event_time` as a datetime."""
        return datetime.fromisoformat(self.event_time)

    @field_validator("detail", mode="before")
    @classmethod
    def open_message(cls, detail: object) -> dict[str, Any]:
        """Reject other messages before field validation, so that the error names the actual problem."""
        envelope = open_envelope(detail)
        # A missing name is left to field validation.
        if envelope.metadata.get("event_name") not in (None, cls.event_name):
            raise RejectedEvent(f"{cls.event_name}: the message is another event: check the pattern of the rule")
        return {"metadata": envelope.metadata, "body": envelope.body}


EventT = TypeVar("EventT", bound=CanvasEvent)


def parse_event(message: str, model: type[EventT]) -> EventT:
    """Parse `message`, an EventBridge event in JSON, as `model`.

    Raises:
        RejectedEvent: the event is invalid. The text names each field and the rule that it breaks.
    """
    try:
        event: EventT = parse(event=message, model=model)  # type: ignore[call-overload]  # it takes text, too
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise RejectedEvent(f"{model.event_name}: {'; '.join(map(_sentence, details))}") from None
    return event


def reject_future(event: CanvasEvent, *, now: datetime, tolerance: timedelta) -> None:
    """Reject an event from the future, which would block all later updates of its item.

    Raises:
        RejectedEvent: `event_time` is more than `tolerance` after `now`.
    """
    if event.instant > now + tolerance:
        minutes = tolerance.total_seconds() / 60
        raise RejectedEvent(f"{event.event_name}: metadata.event_time is more than {minutes:g} minutes in the future")


def _sentence(error: ErrorDetails) -> str:
    path = ".".join(str(part) for part in error["loc"] if part != "detail") or "the message"
    # Null and missing mean the same in Canvas.
    if error["type"] == "missing" or error["input"] is None:
        return f"{path} is missing{_WHY_NEEDED.get(path, '')}"
    # Messages of `functions.canvas.fields` begin with a verb; those of pydantic are whole sentences.
    return f"{path} {error['msg'] if error['msg'][0].islower() else 'is invalid: ' + error['msg']}"
