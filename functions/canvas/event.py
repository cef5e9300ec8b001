"""The model that the six events share: an EventBridge event whose detail is a Canvas message."""

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
    "metadata.event_name": ", so nothing says which event this is",
    "metadata.event_time": ", so the event cannot be ordered",
    "metadata.root_account_id": ", so the import cannot be attributed to a school",
}


class CanvasModel(BaseModel):
    """A part of a Canvas message. Canvas adds keys without notice: unknown ones are ignored."""

    model_config = ConfigDict(frozen=True)


class Metadata(CanvasModel):
    """The two keys that Canvas guarantees."""

    event_name: str
    event_time: Timestamp


class Detail(CanvasModel):
    """A Canvas message."""

    metadata: Metadata


class CanvasEvent(EventBridgeModel):
    """A Canvas message as EventBridge delivers it to the queue of `event_name`."""

    # On the outermost model, or a ValidationError prints its input: the inner models' setting does not count.
    model_config = ConfigDict(hide_input_in_errors=True)

    event_name: ClassVar[str]

    detail: Detail

    @property
    def event_time(self) -> str:
        """When the change happened, in the stored form. The only clock that orders events."""
        return self.detail.metadata.event_time

    @property
    def instant(self) -> datetime:
        """`event_time`, for arithmetic."""
        return datetime.fromisoformat(self.event_time)

    @field_validator("detail", mode="before")
    @classmethod
    def open_message(cls, detail: object) -> dict[str, Any]:
        """Refuse what is not this event before its fields are validated, so that the error says what is wrong."""
        envelope = open_envelope(detail)
        # One that is null or missing is refused as a field, by its own rule.
        if envelope.metadata.get("event_name") not in (None, cls.event_name):
            raise RejectedEvent(f"{cls.event_name}: the message is another event: look at the function's rule")
        return {"metadata": envelope.metadata, "body": envelope.body}


EventT = TypeVar("EventT", bound=CanvasEvent)


def parse_event(message: str, model: type[EventT]) -> EventT:
    """The event of type `model` that `message`, the JSON of an EventBridge event, describes.

    Raises:
        RejectedEvent: not such an event. The text names each field and its rule.
    """
    try:
        event: EventT = parse(event=message, model=model)  # type: ignore[call-overload]  # it takes text, too
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise RejectedEvent(f"{model.event_name}: {'; '.join(map(_sentence, details))}") from None
    return event


def reject_future(event: CanvasEvent, *, now: datetime, tolerance: timedelta) -> None:
    """Refuse an event from the future: being newer than all that follow, it would freeze its item.

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
    # Our own rules begin with their verb; pydantic's are whole sentences.
    return f"{path} {error['msg'] if error['msg'][0].islower() else 'is invalid: ' + error['msg']}"
