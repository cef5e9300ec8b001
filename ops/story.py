"""The events of the demo: the history of one enrollment, the history of one SIS import, one invalid event."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.canvas.fields import format_timestamp
from functions.routes import ROUTES
from ops.local.checkout import ROOT
from ops.publishing import Event, read_events

ENROLLMENT_ID = "21070000000050001"
USER_ID = "21070000000020065"
COURSE_ID = "21070000000000565"
ACCOUNT_ID = "21070000000000001"
SIS_BATCH_ID = 1440005
INVALID_EVENT_NAME = "sis_batch_updated"
IMPORT_STATES = ["initializing", "created", "importing", "imported"]
_ROOT_ACCOUNT_ID = "21070000000000001"
_SHUFFLE_SEED = 7


def documented_examples() -> list[Event]:
    """The six example events of the Canvas documentation."""
    return [event for route in ROUTES for event in read_events(ROOT / "examples" / f"{route.event_name}.json")]


@dataclass(frozen=True)
class EnrollmentHistory:
    """The history of one enrollment, in order."""

    events: Sequence[Event]
    final_workflow_state: str
    final_state: str

    @property
    def deliveries(self) -> list[Event]:
        """Every event, half of them twice, shuffled."""
        shuffled = [*self.events, *self.events[::2]]
        random.Random(_SHUFFLE_SEED).shuffle(shuffled)  # noqa: S311 - not a secret
        return shuffled


def enrollment_history() -> EnrollmentHistory:
    """A student is invited, accepts, changes section, becomes inactive, then active, and completes the course."""
    times = _times()
    events = [
        _enrollment("enrollment_created", next(times), "invited"),
        _enrollment_state("enrollment_state_created", next(times), "pending_invited"),
        _enrollment_state("enrollment_state_updated", next(times), "invited"),
        _enrollment("enrollment_updated", next(times), "active"),
        _enrollment_state("enrollment_state_updated", next(times), "active"),
        _enrollment("enrollment_updated", next(times), "active", section="21070000000004812"),
        _enrollment("enrollment_updated", next(times), "inactive", section="21070000000004812"),
        _enrollment_state("enrollment_state_updated", next(times), "inactive"),
        _enrollment("enrollment_updated", next(times), "active", section="21070000000004812"),
        _enrollment_state("enrollment_state_updated", next(times), "active"),
        _enrollment("enrollment_updated", next(times), "completed", section="21070000000004812"),
        _enrollment_state("enrollment_state_updated", next(times), "completed"),
    ]
    return EnrollmentHistory(events, final_workflow_state="completed", final_state="completed")


def import_history() -> list[Event]:
    """One SIS import, from `initializing` to `imported`."""
    event_names = ["sis_batch_created", *["sis_batch_updated"] * (len(IMPORT_STATES) - 1)]
    return [_sis_batch(*event) for event in zip(event_names, _times(), IMPORT_STATES, strict=False)]


def invalid_event() -> Event:
    """A SIS event without `root_account_id`: it cannot be attributed to a school."""
    event = _sis_batch(INVALID_EVENT_NAME, next(_times()), "importing")
    del event["metadata"]["root_account_id"]
    return event


def _times() -> Any:
    moment = datetime(2025, 9, 1, 8, tzinfo=UTC)
    while True:
        yield format_timestamp(moment)
        moment += timedelta(days=1, hours=2)


def _event(event_name: str, event_time: str, body: dict[str, Any]) -> Event:
    metadata = {
        "event_name": event_name,
        "event_time": event_time,
        "producer": "canvas",
        "root_account_id": _ROOT_ACCOUNT_ID,
    }
    return {"metadata": metadata, "body": body}


def _enrollment(event_name: str, event_time: str, workflow_state: str, section: str = "21070000000004811") -> Event:
    body = {
        "enrollment_id": ENROLLMENT_ID,
        "course_id": COURSE_ID,
        "course_section_id": section,
        "user_id": USER_ID,
        "user_name": "Ada Lovelace",
        "type": "StudentEnrollment",
        "workflow_state": workflow_state,
        "limit_privileges_to_course_section": False,
        "created_at": "2025-09-01T08:00:00Z",
        "updated_at": event_time,
    }
    return _event(event_name, event_time, body)


def _enrollment_state(event_name: str, event_time: str, state: str) -> Event:
    body = {
        "enrollment_id": ENROLLMENT_ID,
        "state": state,
        "state_started_at": event_time,
        "state_valid_until": None,
        "state_is_current": True,
        "restricted_access": state in {"inactive", "completed"},
        "access_is_current": True,
    }
    return _event(event_name, event_time, body)


def _sis_batch(event_name: str, event_time: str, workflow_state: str) -> Event:
    body = {"sis_batch_id": str(SIS_BATCH_ID), "account_id": "1", "workflow_state": workflow_state}
    return _event(event_name, event_time, body)
