"""The envelope of every Canvas event: `{metadata, body}`. Standard library only: the relay starts without pydantic."""

import json
from dataclasses import dataclass
from typing import Any

from functions.canvas.rejection import UnreadableMessage

_METADATA_KEYS = ("metadata", "attributes")
"""Keys of the metadata, by precedence. Some senders use `attributes`."""

_CALIPER_KEYS = {"sensor", "dataVersion", "data"}
"""The envelope of IMS Caliper 1.1, the other format that a Canvas subscription can be set to."""


@dataclass(frozen=True)
class Envelope:
    """Metadata and body of a Canvas message. `body` is `None` where the message has none."""

    metadata: dict[str, Any]
    body: Any

    @property
    def event_name(self) -> str | None:
        """Name of the event, `None` where it is missing or not printable ASCII."""
        name = self.metadata.get("event_name")
        return name if isinstance(name, str) and name and name.isascii() and name.isprintable() else None


def open_envelope(message: object) -> Envelope:
    """Check and unpack `message`, a decoded JSON value.

    Raises:
        UnreadableMessage: not an object, a Caliper message, or no metadata.
    """
    if not isinstance(message, dict):
        raise UnreadableMessage("the message is not a JSON object")
    if message.keys() >= _CALIPER_KEYS:
        raise UnreadableMessage(
            "the message is in the Caliper format: set its subscription in Canvas Data Services to the Canvas format"
        )
    for key in _METADATA_KEYS:
        if isinstance(message.get(key), dict):
            return Envelope(metadata=message[key], body=message.get("body"))
    raise UnreadableMessage("the message has no metadata, so it is not a Canvas live event")


def read_message(text: str) -> Envelope:
    """Parse a Canvas message whose metadata has an event name.

    Raises:
        UnreadableMessage: not a Canvas event in JSON.
        RecursionError: the JSON is nested too deeply.
    """
    try:
        envelope = open_envelope(json.loads(text))
    except ValueError:
        # `from None`: the original error contains the message.
        raise UnreadableMessage("the message is not JSON") from None
    if envelope.event_name is None:
        raise UnreadableMessage("metadata.event_name is missing or not printable ASCII")
    return envelope
