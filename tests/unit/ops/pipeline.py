"""A pipeline in memory: what is sent is applied to items by our own models, at once, but for the faults of a test."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from canvas_live_state import Enrollment, RosterEntry, SisImport
from functions.canvas.event import parse_event
from functions.canvas.rejection import RejectedEvent
from functions.projection.change import Change
from functions.projection.enrollment import enrollment_snapshot, state_snapshot
from functions.projection.sis_batch import import_snapshot
from testbed.events import on_the_bus
from testbed.models import MODELS
from tests.unit.ops.sqs import StubbedSqs

_SNAPSHOTS: dict[str, Callable[..., Change]] = {
    "enrollment_created": enrollment_snapshot,
    "enrollment_updated": enrollment_snapshot,
    "enrollment_state_created": state_snapshot,
    "enrollment_state_updated": state_snapshot,
    "sis_batch_created": import_snapshot,
    "sis_batch_updated": import_snapshot,
}


@dataclass
class Pipeline:
    """Ingestion queue, bus, functions and tables.

    Attributes:
        sqs: its queues. Only dead-letter queues hold anything.
        broken: the events whose functions do nothing.
        rejects: whether an invalid event is dead-lettered.
        sent: every message of the ingestion queue.
    """

    sqs: StubbedSqs = field(default_factory=StubbedSqs)
    broken: set[str] = field(default_factory=set)
    rejects: bool = True
    sent: list[dict[str, Any]] = field(default_factory=list)
    items: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sqs.deliver = self.ingest

    @property
    def queues(self) -> dict[str, str]:
        """The queues by construct; each is its own URL."""
        names = ["Ingestion", *("".join(map(str.capitalize, name.split("_"))) for name in _SNAPSHOTS)]
        return {f"{name}{kind}": f"{name}{kind}" for name in names for kind in ("Queue", "DeadLetters")}

    def ingest(self, _queue: str, body: str) -> None:
        """Take a message of the ingestion queue."""
        message = json.loads(body)
        self.sent.append(message)
        self.apply(message)

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Take events of the bus, as EventBridge does."""
        for entry in Entries:
            self.apply(json.loads(entry["Detail"]))
        return {"FailedEntryCount": 0}

    def apply(self, message: dict[str, Any]) -> None:
        """Apply an event with its function, or dead-letter it."""
        name = message["metadata"]["event_name"]
        if name in self.broken:
            return
        body = json.dumps(on_the_bus(message, name))
        try:
            change = _SNAPSHOTS[name](parse_event(body, MODELS[name]))
        except RejectedEvent as error:
            if self.rejects:
                queue = f"{''.join(map(str.capitalize, name.split('_')))}DeadLetters"
                self.sqs.put(queue, body, ago=0, error="RejectedEvent", reason=str(error))
            return
        item = self.items.setdefault(tuple(map(str, change.key.values())), dict(change.key))
        if change.version > item.get(change.version_attribute, ""):
            item |= {**change.attributes, change.version_attribute: change.version}
        for at, time in change.timeline.items():
            item[at] = max(time, item.get(at, ""))


@dataclass
class MemoryReader:
    """The reading side of a pipeline in memory.

    Attributes:
        roster_lags: whether the index still shows nothing.
    """

    pipeline: Pipeline
    roster_lags: bool = False

    def enrollment(self, enrollment_id: str) -> Enrollment | None:
        item = self.pipeline.items.get((enrollment_id,))
        return Enrollment.of(item) if item else None

    def sis_import(self, account_id: str, number: int) -> SisImport | None:
        item = self.pipeline.items.get((account_id, str(number)))
        return SisImport.of(item) if item else None

    def roster(self, course_id: str) -> list[RosterEntry]:
        return self._entries("course_id", course_id)

    def enrollments_of(self, user_id: str) -> list[RosterEntry]:
        return self._entries("user_id", user_id)

    def _entries(self, key: str, value: str) -> list[RosterEntry]:
        entries = [RosterEntry.of(item) for item in self.pipeline.items.values() if item.get(key) == value]
        return [entry for entry in entries if entry.workflow_state != "deleted" and not self.roster_lags]
