"""Synthetic events: ordinary Canvas events with reserved ids, marked by their producer.

The ids are the last of the shard. Canvas numbers from 1, so it cannot use them (docs/data-model.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.canvas.fields import format_timestamp
from functions.canvas.ids import IDS_PER_SHARD, shard_of
from functions.routes import PROJECT

PRODUCER = f"{PROJECT}-verify"
"""`metadata.producer` of every synthetic event, by which a consumer can skip it."""

INVALID_EVENT_NAME = "sis_batch_updated"
INVALID_REASON = "sis_batch_updated: metadata.root_account_id is missing"

SIS_BATCH_ID = IDS_PER_SHARD - 1
_LAST_LOCAL_ID = IDS_PER_SHARD - 1

Event = dict[str, Any]


@dataclass(frozen=True)
class ReservedKeys:
    """The reserved ids of the shard of `root_account_id`.

    Attributes:
        root_account_id: the root account of the events.
    """

    root_account_id: str

    @property
    def updated(self) -> str:
        """The enrollment whose newest events are `*_updated`."""
        return self.last

    @property
    def created(self) -> str:
        """The enrollment whose newest events are `*_created`."""
        return str(int(self.last) - 1)

    @property
    def last(self) -> str:
        """The last id of the shard: also that of the reserved course, section and account."""
        return str(shard_of(self.root_account_id) * IDS_PER_SHARD + _LAST_LOCAL_ID)

    @property
    def enrollments(self) -> tuple[str, str]:
        """Both enrollments. The user of each has the same id."""
        return self.updated, self.created


@dataclass(frozen=True)
class Proof:
    """What an item must contain once the function of `event_name` has written it.

    Attributes:
        enrollment_id: the enrollment, `None` for the import.
        attributes: attribute to value; times as `datetime`.
    """

    event_name: str
    enrollment_id: str | None
    attributes: Mapping[str, object]


@dataclass(frozen=True)
class Delivery:
    """Events, in the order in which they are sent, and what the tables must contain afterwards."""

    events: Sequence[Event]
    proofs: Sequence[Proof]


@dataclass(frozen=True)
class Round:
    """The events of one run, which are newer than those of earlier runs.

    Attributes:
        begin: the time of the first event; the others follow a millisecond apart.
        run_id: `metadata.request_id` of every event.
    """

    keys: ReservedKeys
    begin: datetime
    run_id: str

    def opening(self) -> Delivery:
        """Events of all six types, in reverse order, every second one twice. Each function must write an item."""
        updated, created = self.keys.enrollments
        events = [
            self._enrollment("enrollment_created", updated, 0, "invited"),
            self._enrollment_state("enrollment_state_created", updated, 0, "pending_invited"),
            self._enrollment("enrollment_updated", created, 0, "invited"),
            self._enrollment_state("enrollment_state_updated", created, 0, "pending_invited"),
            *self._newest(1, "active"),
            self._import("sis_batch_created", 0, "initializing"),
            self._import("sis_batch_updated", 1, "created"),
            self._import("sis_batch_updated", 2, "importing"),
            self._import("sis_batch_updated", 3, "imported"),
        ]
        times = {"initializing": 0, "created": 1, "importing": 2, "imported": 3}
        return Delivery([*events[::-1], *events[::2]], [*self._proofs(1, "active"), *self._import_proofs(times)])

    def invalid(self) -> Event:
        """An event that can never succeed: an import without a root account."""
        event = self._import(INVALID_EVENT_NAME, 3, "imported")
        del event["metadata"]["root_account_id"]
        return event

    def closing(self) -> Delivery:
        """Events that delete both enrollments, whether the opening arrived or not."""
        events, proofs = [], []
        for enrollment_id in self.keys.enrollments:
            events.append(self._enrollment("enrollment_updated", enrollment_id, 4, "deleted"))
            events.append(self._enrollment_state("enrollment_state_updated", enrollment_id, 4, "deleted"))
            proofs += self._enrollment_proofs("updated", enrollment_id, 4, "deleted")
        return Delivery(events, proofs)

    def small(self) -> Delivery:
        """One event of each type. The enrollments stay deleted."""
        events = [
            *self._newest(1, "deleted"),
            self._import("sis_batch_created", 0, "initializing"),
            self._import("sis_batch_updated", 1, "imported"),
        ]
        times = {"initializing": 0, "imported": 1}
        return Delivery(events, [*self._proofs(1, "deleted"), *self._import_proofs(times)])

    def at(self, tick: int) -> datetime:
        """The time `tick` milliseconds after the beginning."""
        return self.begin + timedelta(milliseconds=tick)

    def _newest(self, tick: int, state: str) -> list[Event]:
        """The newest events of both families: `*_updated` of one enrollment, `*_created` of the other."""
        return [
            self._enrollment("enrollment_updated", self.keys.updated, tick, state),
            self._enrollment_state("enrollment_state_updated", self.keys.updated, tick, state),
            self._enrollment("enrollment_created", self.keys.created, tick, state),
            self._enrollment_state("enrollment_state_created", self.keys.created, tick, state),
        ]

    def _proofs(self, tick: int, state: str) -> list[Proof]:
        return [
            *self._enrollment_proofs("updated", self.keys.updated, tick, state),
            *self._enrollment_proofs("created", self.keys.created, tick, state),
        ]

    def _enrollment_proofs(self, change: str, enrollment_id: str, tick: int, state: str) -> list[Proof]:
        at = self.at(tick)
        return [
            Proof(f"enrollment_{change}", enrollment_id, {"workflow_state": state, "enrollment_event_time": at}),
            Proof(f"enrollment_state_{change}", enrollment_id, {"state": state, "state_event_time": at}),
        ]

    def _import_proofs(self, times: dict[str, int]) -> list[Proof]:
        """The parts of the timeline that `sis_batch_created` and `sis_batch_updated` write."""
        entered = {f"{state}_at": self.at(tick) for state, tick in times.items()}
        created = {"initializing_at": entered.pop("initializing_at")}
        return [
            Proof("sis_batch_created", None, created),
            Proof("sis_batch_updated", None, entered | {"workflow_state": "imported"}),
        ]

    def _enrollment(self, event_name: str, enrollment_id: str, tick: int, workflow_state: str) -> Event:
        body = {
            "enrollment_id": enrollment_id,
            "course_id": self.keys.last,
            "course_section_id": self.keys.last,
            "user_id": enrollment_id,
            "user_name": PRODUCER,
            "type": "StudentEnrollment",
            "workflow_state": workflow_state,
        }
        return self._event(event_name, tick, body)

    def _enrollment_state(self, event_name: str, enrollment_id: str, tick: int, state: str) -> Event:
        return self._event(event_name, tick, {"enrollment_id": enrollment_id, "state": state})

    def _import(self, event_name: str, tick: int, workflow_state: str) -> Event:
        body = {
            "sis_batch_id": str(SIS_BATCH_ID),
            "account_id": str(_LAST_LOCAL_ID),
            "workflow_state": workflow_state,
        }
        return self._event(event_name, tick, body)

    def _event(self, event_name: str, tick: int, body: dict[str, Any]) -> Event:
        metadata = {
            "event_name": event_name,
            "event_time": format_timestamp(self.at(tick)),
            "root_account_id": self.keys.root_account_id,
            "producer": PRODUCER,
            "request_id": self.run_id,
        }
        return {"metadata": metadata, "body": body}
