"""The model that the six events share: an EventBridge event whose detail is a Canvas message."""

from datetime import datetime
from typing import Any, ClassVar

from aws_lambda_powertools.utilities.parser.models import EventBridgeModel
from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError

from functions.canvas.envelope import UnreadableMessage, open_envelope
from functions.canvas.fields import Timestamp


class CanvasModel(BaseModel):
    """A part of a Canvas message. Canvas adds keys without notice: unknown ones are ignored."""

    model_config = ConfigDict(frozen=True)


class Metadata(CanvasModel):
    """The two keys that Canvas guarantees.

    The rest is left out on purpose: it neither places nor orders an event, differs between requests and jobs, and
    holds personal data.
    """

    event_name: str
    event_time: Timestamp


class Detail(CanvasModel):
    """A Canvas message."""

    metadata: Metadata


class CanvasEvent(EventBridgeModel):
    """A Canvas message as EventBridge delivers it to the function of `event_name`."""

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
        """`event_time`, to reckon with."""
        return datetime.fromisoformat(self.event_time)

    @field_validator("detail", mode="before")
    @classmethod
    def open_message(cls, detail: object) -> dict[str, Any]:
        """Refuse what is not this event before its fields are looked at, so that the error says what is wrong."""
        try:
            envelope = open_envelope(detail)
        except UnreadableMessage as error:
            raise PydanticCustomError("unreadable", str(error)) from None
        # One that is null or missing is refused as a field, by its own rule.
        if envelope.metadata.get("event_name") not in (None, cls.event_name):
            raise PydanticCustomError("wrong_event", "is another event than this function's: look at its rule")
        return envelope.normalised()
