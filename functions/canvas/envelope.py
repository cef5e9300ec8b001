"""The envelope of every Canvas event: `{metadata, body}`. Standard library only: the relay starts without pydantic."""

import json
from dataclasses import dataclass
from typing import Any

from functions.canvas.rejection import UnreadableMessage

_METADATA_KEYS = ("metadata", "attributes")
"""Some senders name the envelope's metadata `attributes`."""

_CALIPER_KEYS = {"sensor", "dataVersion", "data"}
"""The envelope of IMS Caliper 1.1, the other format that a Canvas subscription can be set to."""


@dataclass(frozen=True)
class Envelope:
    """An opened message. `body` is what Canvas sent, `None` where it sent none."""

    metadata: dict[str, Any]
    body: Any

    @property
    def event_name(self) -> str | None:
        """The event's name, `None` where the metadata has none that could name an event."""
        name = self.metadata.get("event_name")
        return name if isinstance(name, str) and name and name.isascii() and name.isprintable() else None


def open_envelope(message: object) -> Envelope:
    """The envelope of `message`, a decoded JSON value.

    Raises:
        UnreadableMessage: not an object, a Caliper message, or no metadata.
    """
    if not isinstance(message, dict):
        raise UnreadableMessage("the message is not a JSON object")
    if message.keys() >= _CALIPER_KEYS:
        raise UnreadableMessage(
            "the message is in the Caliper format: set the subscription's format in Canvas' Data Services to Canvas"
        )
    for key in _METADATA_KEYS:
        if isinstance(message.get(key), dict):
            return Envelope(metadata=message[key], body=message.get("body"))
    raise UnreadableMessage("the message has no metadata, so it is not a Canvas live event")


def read_message(text: str) -> Envelope:
    """The envelope of the Canvas message `text`, which names its event.

    Raises:
        UnreadableMessage: not a Canvas event in JSON.
        RecursionError: nested too deeply to be read.
    """
    try:
        envelope = open_envelope(json.loads(text))
    except ValueError:
        # `from None`: the original error carries the message.
        raise UnreadableMessage("the message is not JSON") from None
    if envelope.event_name is None:
        raise UnreadableMessage("the message has no event_name that could name an event in its metadata")
    return envelope
