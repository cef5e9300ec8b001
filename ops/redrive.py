"""Giving dead letters another chance: events back to the bus, front-door messages back to the front door."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from functions.relay.forwarding import requests
from ops.dead_letters import DeadLetter, delete, receive, release
from ops.failure import OperatorError
from ops.pace import pace
from ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_sqs import SQSClient

    from ops.dead_letters import Queue


class Selection:
    """The dead letters of some queues, or those of one kind of error. The others are seen and left where they are.

    Used as a context: however it ends, every letter that was received and not dealt with is shown again.
    """

    def __init__(self, stage: Stage, queues: "Iterable[Queue]", *, only: str | None) -> None:
        self._stage = stage
        self._queues = queues
        self._only = only
        self._held: dict[str, DeadLetter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        release(self._stage, self._held.values())

    def batches(self) -> Iterator[list[DeadLetter]]:
        """The selected letters, at most ten at a time, all of one queue."""
        for batch in receive(self._stage, self._queues):
            self._held |= {letter.receipt: letter for letter in batch}
            selected = [letter for letter in batch if self._only in {None, letter.error}]
            if selected:
                yield selected

    def remove(self, letters: Iterable[DeadLetter]) -> None:
        """Delete `letters`: each is somewhere else now."""
        for letter in letters:
            delete(self._stage, [letter])
            del self._held[letter.receipt]


def redrive(stage: Stage, selection: Selection, *, events_per_second: float) -> Iterator[DeadLetter]:
    """Send the selected letters back, and remove each as soon as it was taken; yield each that was.

    Safe to stop at any moment and to repeat: at worst a letter was taken and still lies in its queue, and an event that
    comes again changes nothing.

    Raises:
        OperatorError: a letter is not an event, so nothing can be sent.
    """
    steps = pace(events_per_second)
    for batch in selection.batches():
        for taken in _send(stage, batch):
            selection.remove([taken])
            yield taken
            next(steps)


def export(selection: Selection, file: Path, *, discard: bool) -> Iterator[DeadLetter]:
    """Write the selected letters to `file`, a line of JSON each; remove them from their queues if `discard`.

    The file holds what Canvas sent, personal data included: only its owner may read it.

    Raises:
        OperatorError: the file is there already.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise OperatorError(f"{file} exists already. Name a new file.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as lines:
        for batch in selection.batches():
            for letter in batch:
                lines.write(json.dumps(letter.event["detail"] if letter.event else letter.body) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
            if discard:
                selection.remove(batch)
            yield from batch


def _send(stage: Stage, batch: list[DeadLetter]) -> Iterator[DeadLetter]:
    events = [(letter.receipt, _entry(stage, letter)) for letter in batch if letter.event is not None]
    by_receipt = {letter.receipt: letter for letter in batch}
    eventbridge: EventBridgeClient = stage.client("events")
    for group in requests(events):
        results = eventbridge.put_events(Entries=[entry for _, entry in group])["Entries"]
        for (receipt, _), result in zip(group, results, strict=True):
            if "ErrorCode" in result:
                raise OperatorError(
                    f"The bus refused an event ({result['ErrorCode']}). It is still in its queue; try again later."
                )
            yield by_receipt[receipt]
    sqs: SQSClient = stage.client("sqs")
    for letter in batch:
        if letter.event is None:
            sqs.send_message(QueueUrl=stage.front_door_queue_url, MessageBody=letter.body)
            yield letter


def _entry(stage: Stage, letter: DeadLetter) -> "PutEventsRequestEntryTypeDef":
    event: dict[str, Any] = letter.event or {}
    return {
        "EventBusName": stage.event_bus,
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
    }
