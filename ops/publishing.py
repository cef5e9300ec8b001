"""Sends events to the ingestion queue, as Canvas does, and corrections to the event bus."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from functions.canvas.fields import format_timestamp
from ops.failure import OperatorError
from ops.rate_limit import rate_limited
from ops.stage import Stage
from reconciliation.correction import Correction

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

Event = dict[str, Any]


def read_events(path: Path) -> list[Event]:
    """The events in a file of JSON (one event, or a list of them) or of NDJSON (one event a line).

    Raises:
        OperatorError: the file is missing, or contains something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(
            f"{path}: cannot be read as text ({type(error).__name__}). Name a file of events."
        ) from None
    try:
        decoded = json.loads(text)
    except json.JSONDecodeError:
        decoded = list(_lines(path, text))
    events = decoded if isinstance(decoded, list) else [decoded]
    for number, event in enumerate(events, start=1):
        if not isinstance(event, dict):
            raise OperatorError(f"{path}: entry {number} is not a JSON object. Each event is one.")
    return events


def publish(stage: Stage, events: Sequence[Event], *, events_per_second: float) -> Iterator[Event]:
    """Send `events` to the ingestion queue, in order; yield each one that was sent."""
    sqs: SQSClient = stage.client("sqs")
    for event, _ in zip(events, rate_limited(events_per_second), strict=False):
        sqs.send_message(QueueUrl=stage.ingestion_queue_url, MessageBody=json.dumps(event))
        yield event


def publish_correction(
    stage: Stage, event_name: str, *, event_time: datetime, root_account_id: str, body: dict[str, Any]
) -> None:
    """Publish a correction to the event bus, where the rules and functions apply it like any event.

    Raises:
        OperatorError: the event bus does not accept it.
    """
    correction = Correction(
        event_name=event_name,
        event_time=format_timestamp(event_time),
        root_account_id=root_account_id,
        body=body,
    )
    events: EventBridgeClient = stage.client("events")
    answer = events.put_events(Entries=[correction.entry(stage.event_bus)])
    if answer["FailedEntryCount"]:
        raise OperatorError(f"The event bus did not accept the event ({answer['Entries'][0]['ErrorCode']}). Try again.")


def _lines(path: Path, text: str) -> Iterable[object]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                raise OperatorError(f"{path}: line {number} is not JSON. Write one event a line, or a list.") from None
