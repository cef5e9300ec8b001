"""Oracle of the tables: sorts the facts by version and applies each over the one before.

Independent of the code under test: it imports nothing of `functions`.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from testbed.ordering.histories import ENROLLMENT_EVENTS, IMPORT_EVENTS, Fact

_LIFE_CYCLE = [
    "initializing",
    "created",
    "importing",
    "cleanup_batch",
    "imported",
    "imported_with_messages",
    "aborted",
    "failed",
    "failed_with_messages",
    "restoring",
    "partially_restored",
    "restored",
]
_ENROLLMENT_ATTRIBUTES = [
    "course_id",
    "course_section_id",
    "user_id",
    "user_name",
    "type",
    "workflow_state",
    "associated_user_id",
    "limit_privileges_to_course_section",
    "created_at",
    "updated_at",
    "course_uuid",
    "user_uuid",
    "enrollment_event_time",
]
_STATE_ATTRIBUTES = [
    "state",
    "state_started_at",
    "state_valid_until",
    "state_is_current",
    "restricted_access",
    "access_is_current",
    "state_event_time",
]

Items = dict[tuple[str, ...], dict[str, Any]]


def tables_after(facts: Iterable[Fact]) -> tuple[Items, Items]:
    """Items of both tables, by key, after the delivery of `facts` in any order. Invalid facts are ignored."""
    enrollments: Items = {}
    imports: Items = {}
    for fact in sorted((fact for fact in facts if fact.instant), key=version_of):
        content = _content(fact)
        if fact.event_name in IMPORT_EVENTS:
            account, number = fact.key
            item = imports.setdefault(fact.key, {"account_id": account, "sis_batch_id": int(number)})
            item |= content | {"version": version_of(fact)}
            state = content["workflow_state"]
            item.pop("unfinished_since", None)
            if state in ("initializing", "created", "importing", "cleanup_batch", "restoring"):
                item["unfinished_since"] = content["event_time"]
            if state.isidentifier():
                item[f"{state}_at"] = content["event_time"]
            continue
        item = enrollments.setdefault(fact.key, {"enrollment_id": fact.key[0]})
        of_enrollment = fact.event_name in ENROLLMENT_EVENTS
        for name in _ENROLLMENT_ATTRIBUTES if of_enrollment else _STATE_ATTRIBUTES:
            item.pop(name, None)
        item |= content | {"enrollment_version" if of_enrollment else "state_version": version_of(fact)}
    return enrollments, imports


def version_of(fact: Fact) -> str:
    """Expected version of `fact`."""
    canonical = json.dumps(_content(fact), sort_keys=True, separators=(",", ":"))
    return f"{_text(fact.instant)}#{_rank(fact):02d}#{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"


def _rank(fact: Fact) -> int:
    if fact.event_name.endswith("_created"):
        return 0
    if fact.event_name not in IMPORT_EVENTS:
        return 1
    state = dict(fact.values)["workflow_state"]
    return _LIFE_CYCLE.index(state) + 1 if state in _LIFE_CYCLE else 99


def _content(fact: Fact) -> dict[str, Any]:
    time_attribute = {"enrollment": "enrollment_event_time", "sis": "event_time"}[fact.event_name.split("_")[0]]
    if fact.event_name.startswith("enrollment_state"):
        time_attribute = "state_event_time"
    values = {name: _text(value) if isinstance(value, datetime) else value for name, value in fact.values}
    return values | {time_attribute: _text(fact.instant)}


def _text(instant: datetime | None) -> str:
    assert instant, "a fact without a time is rejected"
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
