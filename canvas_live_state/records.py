"""Typed records of the tables. An attribute that is missing or null in Canvas is `None`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

Attributes = Mapping[str, Any]
"""The attributes of an item, as Python values."""


@dataclass(frozen=True, kw_only=True)
class Enrollment:
    """An enrollment. Two families of events write it, so that either half may be missing.

    Canvas adds states without notice. Deleted is a state, too.
    """

    enrollment_id: str
    course_id: str | None
    course_section_id: str | None
    user_id: str | None
    user_name: str | None
    type: str | None
    workflow_state: str | None
    associated_user_id: str | None
    limit_privileges_to_course_section: bool | None
    created_at: datetime | None
    updated_at: datetime | None
    course_uuid: str | None
    user_uuid: str | None
    enrollment_event_time: datetime | None
    state: str | None
    state_started_at: datetime | None
    state_valid_until: datetime | None
    state_is_current: bool | None
    restricted_access: bool | None
    access_is_current: bool | None
    state_event_time: datetime | None

    @classmethod
    def of(cls, item: Attributes) -> Self:
        """The record of an item of table `enrollments`."""
        return cls(**{name: _value(name, item.get(name)) for name in cls.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class RosterEntry:
    """An enrollment in the indexes `by_course` and `by_user`."""

    enrollment_id: str
    course_id: str
    user_id: str
    user_name: str | None
    type: str | None
    workflow_state: str | None
    state: str | None
    restricted_access: bool | None
    course_section_id: str | None

    @classmethod
    def of(cls, item: Attributes) -> Self:
        """The record of an item of either index."""
        known: dict[str, Any] = {name: item.get(name) for name in cls.__dataclass_fields__}
        return cls(**known)


@dataclass(frozen=True, kw_only=True)
class SisImport:
    """A SIS import.

    Attributes:
        account_id: the global id of the account: shard x 10^13 + local id.
        sis_batch_id: the local id of the import; higher is newer.
        event_time: the time of its newest event.
        timeline: when each state was last entered, sorted by time.
    """

    account_id: str
    sis_batch_id: int
    workflow_state: str
    event_time: datetime
    timeline: Mapping[str, datetime]

    @classmethod
    def of(cls, item: Attributes) -> Self:
        """The record of an item of table `sis_batches`."""
        entered = [(datetime.fromisoformat(at), name) for name, at in item.items() if name.endswith("_at")]
        return cls(
            account_id=item["account_id"],
            sis_batch_id=int(item["sis_batch_id"]),
            workflow_state=item["workflow_state"],
            event_time=datetime.fromisoformat(item["event_time"]),
            timeline={name.removesuffix("_at"): at for at, name in sorted(entered)},
        )


_TIMES = frozenset(
    {
        "created_at",
        "updated_at",
        "enrollment_event_time",
        "state_started_at",
        "state_valid_until",
        "state_event_time",
    }
)


def _value(name: str, stored: Any) -> Any:
    return datetime.fromisoformat(stored) if name in _TIMES and stored is not None else stored
