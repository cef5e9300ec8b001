"""Random histories of enrollments and imports, and the many notations of one event."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

ENROLLMENT_EVENTS = ("enrollment_created", "enrollment_updated")
STATE_EVENTS = ("enrollment_state_created", "enrollment_state_updated")
IMPORT_EVENTS = ("sis_batch_created", "sis_batch_updated")

_NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
_OFFSETS = (timedelta(0), timedelta(hours=-7), timedelta(hours=5, minutes=30))
_SHARD_OF_SCHOOL = {"21070000000000001": "21070000000000001", "30000000000000001": "30000000000000001"}


@dataclass(frozen=True)
class Fact:
    """One event, independent of its notation. An event without `instant` is invalid: it cannot be ordered.

    `key` holds the ids of the record, and `values` the other fields of the body that are not null.
    """

    event_name: str
    instant: datetime | None
    key: tuple[str, ...]
    values: tuple[tuple[str, Any], ...]


def random_history(rng: random.Random, size: int, *, subjects: int = 2, seconds: int = 2) -> list[Fact]:
    """Draw `size` facts on a few enrollments and imports. Some times are equal or 1 ms apart."""
    return [_random_fact(rng, subjects, seconds) for _ in range(size)]


def _random_fact(rng: random.Random, subjects: int, seconds: int) -> Fact:
    event_name = rng.choice(ENROLLMENT_EVENTS + STATE_EVENTS + IMPORT_EVENTS)
    instant = _NOON + timedelta(seconds=rng.randrange(seconds), milliseconds=rng.choice((0, 0, 1, 2)))
    number = 1 + rng.randrange(subjects)
    if event_name in IMPORT_EVENTS:
        school = rng.choice(list(_SHARD_OF_SCHOOL))
        states = ("initializing", "created", "importing", "imported", "invented_later", "not an identifier", "")
        return Fact(event_name, instant, (school, str(number)), (("workflow_state", rng.choice(states)),))
    key = (f"2107{number:014d}",)
    values = _enrollment(rng) if event_name in ENROLLMENT_EVENTS else _enrollment_state(rng)
    return Fact(event_name, instant, key, tuple((name, value) for name, value in values.items() if value is not None))


def _enrollment(rng: random.Random) -> dict[str, Any]:
    return {
        "course_id": rng.choice(("21070000000000565", "21070000000000566")),
        "course_section_id": "21070000000004811",
        "user_id": rng.choice(("21070000000020064", "21070000000020065")),
        "user_name": rng.choice((None, "Ada", "Grâce ☃")),
        "type": "StudentEnrollment",
        "workflow_state": rng.choice(("invited", "active", "deleted", "invented_later")),
        "associated_user_id": rng.choice((None, "21070000000000562")),
        "limit_privileges_to_course_section": rng.choice((None, False, True)),
        "created_at": rng.choice((None, _NOON)),
        "course_uuid": rng.choice((None, "uuid")),
    }


def _enrollment_state(rng: random.Random) -> dict[str, Any]:
    return {
        "state": rng.choice((None, "pending_invited", "active", "completed", "invented_later")),
        "state_started_at": rng.choice((None, _NOON, _NOON + timedelta(milliseconds=218))),
        "state_is_current": rng.choice((None, True, False)),
        "restricted_access": rng.choice((None, True, False)),
    }


def spoil(facts: Iterable[Fact], rng: random.Random, *, share: float) -> list[Fact]:
    """Make a random `share` of `facts` invalid."""
    return [replace(fact, instant=None) if rng.random() < share else fact for fact in facts]


def spell(fact: Fact, rng: random.Random) -> dict[str, Any]:
    """Write `fact` as a Canvas message in one of its many equivalent notations."""
    metadata = {"event_name": fact.event_name, "producer": "canvas"}
    if fact.instant:
        metadata["event_time"] = _time(fact.instant, rng)
    body: dict[str, Any] = {}
    if fact.event_name in IMPORT_EVENTS:
        school, number = fact.key
        metadata["root_account_id"] = _SHARD_OF_SCHOOL[school]
        body |= {"account_id": _id("1", rng), "sis_batch_id": _id(number, rng)}
    else:
        body["enrollment_id"] = _id(fact.key[0], rng)
        if rng.random() < 0.5:
            # Null and missing mean the same.
            optional = "associated_user_id" if fact.event_name in ENROLLMENT_EVENTS else "state_valid_until"
            body[optional] = None
    for name, value in fact.values:
        body[name] = _value(name, value, rng)
    if rng.random() < 0.3:
        body["invented_later"] = {"by": ["Canvas"]}
    return {rng.choice(("metadata", "attributes")): metadata, "body": body}


def _value(name: str, value: Any, rng: random.Random) -> Any:
    if isinstance(value, datetime):
        return _time(value, rng)
    return _id(value, rng) if name.endswith("_id") else value


def _id(value: str, rng: random.Random) -> str | int:
    return rng.choice((value, int(value)))


def _time(instant: datetime, rng: random.Random) -> str:
    local = instant.astimezone(timezone(rng.choice(_OFFSETS)))
    written = local.strftime(rng.choice(("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")))
    if instant.microsecond or rng.random() < 0.5:
        written += f".{instant.microsecond // 1000:03d}"
    if local.utcoffset():
        return written + rng.choice(("", " ")) + local.strftime("%z")
    return written + rng.choice(("Z", " UTC", "+00:00", " +0000"))
