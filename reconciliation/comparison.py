"""Compares a row of Canvas Data 2 with the item of the table."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from functions.projection.change import AttributeValue
from reconciliation.rows import FAMILY_OF, OBSERVER, CanvasTable, Row

COUNTED: Mapping[CanvasTable, tuple[str, ...]] = {
    "enrollments": (
        "course_id",
        "course_section_id",
        "user_id",
        "type",
        "workflow_state",
        "associated_user_id",
        "limit_privileges_to_course_section",
    ),
    "enrollment_states": ("state", "state_started_at", "state_valid_until", "restricted_access"),
}
"""Attributes that are compared. Not `updated_at`, nor the cache flags `state_is_current` and `access_is_current`: they
change without an event. Source: canvas-lms, `EnrollmentState`."""

_FLAGS = frozenset({"limit_privileges_to_course_section", "restricted_access"})
_TIMES = frozenset({"state_started_at", "state_valid_until"})
_SECOND = timedelta(seconds=1)

_CARRIED: Mapping[CanvasTable, tuple[str, ...]] = {
    "enrollments": ("updated_at", "user_id", "user_name", "user_uuid", "course_id", "course_uuid"),
    "enrollment_states": (),
}
"""Attributes of the item that the verdict and the correction need, besides its event time."""

ITEM_ATTRIBUTES: Mapping[CanvasTable, tuple[str, ...]] = {
    table: tuple(dict.fromkeys(("enrollment_id", f"{family}_event_time", *COUNTED[table], *_CARRIED[table])))
    for table, family in FAMILY_OF.items()
}
"""The attributes of an item that a comparison reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A row whose item is missing or differs, kept until the as-of time of the whole result is known.

    Attributes:
        table: the table of Canvas Data 2.
        enrollment_id: the global id.
        body: all attributes of the row.
        updated_at: when Canvas last stamped the row.
        differs: whether a compared attribute differs. False only in a full run, which compares names later.
        item: the `event_time` of the family in the item, and for an enrollment the attributes that a correction
            keeps. `None` where the item has nothing of the family.
    """

    table: CanvasTable
    enrollment_id: str
    body: dict[str, AttributeValue | None]
    updated_at: str | None
    differs: bool
    item: dict[str, AttributeValue | None] | None

    def to_json(self) -> str:
        """One line of a file of candidates."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """Parse a line that `to_json` wrote."""
        return cls(**json.loads(line))


def compare(row: Row, item: Mapping[str, AttributeValue] | None, *, full: bool) -> Candidate | None:
    """Compare `row` with `item`; return `None` where they do not differ.

    Args:
        row: the row of Canvas Data 2.
        item: `ITEM_ATTRIBUTES` of the enrollment, `None` where the table does not have it.
        full: whether user names are compared, too. They are loaded later, so every enrollment becomes a candidate.
    """
    event_time = (item or {}).get(f"{FAMILY_OF[row.table]}_event_time")
    carried: dict[str, AttributeValue | None] | None = None
    differs = True
    if item is not None and event_time is not None:
        differs = not all(_equal(name, row.body, item) for name in COUNTED[row.table])
        carried = {"event_time": event_time, **{name: item.get(name) for name in _CARRIED[row.table]}}
    if not differs and not (full and row.table == "enrollments"):
        return None
    return Candidate(
        table=row.table,
        enrollment_id=row.enrollment_id,
        body=row.body,
        updated_at=row.updated_at,
        differs=differs,
        item=carried,
    )


def _equal(name: str, row: Mapping[str, AttributeValue | None], item: Mapping[str, AttributeValue]) -> bool:
    ours, theirs = item.get(name), row[name]
    if ours == theirs:
        return True
    if name in _FLAGS:
        return not ours and not theirs  # null means false
    if name in _TIMES:
        # Canvas Data 2 has fractions of a second, events have whole seconds.
        return ours is not None and theirs is not None and _within_a_second(str(ours), str(theirs))
    return name == "associated_user_id" and row["type"] != OBSERVER


def _within_a_second(one: str, other: str) -> bool:
    return abs(datetime.fromisoformat(one) - datetime.fromisoformat(other)) < _SECOND
