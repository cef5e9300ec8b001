"""From a front-door message to an entry on the bus, and from entries to as few PutEvents calls as the limits allow."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NoReturn

from functions.canvas.envelope import UnreadableMessage, open_envelope
from functions.relay.redaction import redact

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "canvas"

# Limits of PutEvents. Source: EventBridge user guide, "Calculating PutEvents event entry size" and "Quotas".
MAX_ENTRIES = 10
MAX_REQUEST_BYTES = 256 * 1024
_MAX_DETAIL_TYPE_CHARACTERS = 128


def entry_of(message: str, *, event_bus: str) -> "PutEventsRequestEntryTypeDef":
    """The entry that says on the bus what `message` said at the front door, without its secrets.

    Raises:
        UnreadableMessage: not a Canvas event in JSON, or too large for the bus.
    """
    try:
        decoded = json.loads(message, parse_constant=_refuse_constant)
    except (json.JSONDecodeError, RecursionError):
        # `from None`: the original error carries the message.
        raise UnreadableMessage("is not JSON, or nested too deeply to be read") from None
    envelope = open_envelope(decoded)
    name = envelope.event_name
    if name is None or len(name) > _MAX_DETAIL_TYPE_CHARACTERS:
        raise UnreadableMessage("has no event_name that could name an event in its metadata")
    entry: PutEventsRequestEntryTypeDef = {
        "EventBusName": event_bus,
        "Source": SOURCE,
        "DetailType": name,
        "Detail": json.dumps({"metadata": redact(envelope.metadata), "body": envelope.body}),
    }
    if entry_size(entry) > MAX_REQUEST_BYTES:
        raise UnreadableMessage(f"is larger than the {MAX_REQUEST_BYTES} bytes that EventBridge takes")
    return entry


def entry_size(entry: "PutEventsRequestEntryTypeDef") -> int:
    """The bytes that EventBridge counts for `entry`."""
    return sum(len(entry[part].encode()) for part in ("Source", "DetailType", "Detail"))


def requests(
    entries: Iterable[tuple[str, "PutEventsRequestEntryTypeDef"]],
) -> Iterator[list[tuple[str, "PutEventsRequestEntryTypeDef"]]]:
    """`entries`, in order, in groups that one PutEvents call takes each."""
    group: list[tuple[str, PutEventsRequestEntryTypeDef]] = []
    size = 0
    for message_id, entry in entries:
        if group and (len(group) == MAX_ENTRIES or size + entry_size(entry) > MAX_REQUEST_BYTES):
            yield group
            group, size = [], 0
        group.append((message_id, entry))
        size += entry_size(entry)
    if group:
        yield group


def _refuse_constant(_literal: str) -> NoReturn:
    raise UnreadableMessage("holds NaN or Infinity, which is not JSON")
