"""A change to one item, and the version that orders it among the changes of its record family."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

AttributeValue: TypeAlias = str | int | bool

_canonical_json = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Outcome(StrEnum):
    """Result of applying a change. All three are successes."""

    APPLIED = "Applied"
    DUPLICATE = "Duplicate"
    STALE = "Stale"


@dataclass(frozen=True, kw_only=True)
class Change:
    """Snapshot of one record family of an item, after one event.

    Attributes:
        key: primary key of the item.
        attributes: every attribute of the family. `None` clears one, since null and missing mean the same in Canvas.
        event_time: time of the event, in the stored form.
        rank: 0 to 99; orders events of the same time, such as a creation and an update.
        version_attribute: name of the attribute that holds the version of the family.
        derived: attributes that serve an index and follow from the others. The digest of the version excludes them.
        timeline: times by attribute. Each attribute keeps its latest time, in any order of arrival.
        state_is_known: whether the state is a known one. Unknown states are stored and counted.
    """

    key: dict[str, AttributeValue]
    attributes: Mapping[str, AttributeValue | None]
    event_time: str
    rank: int
    version_attribute: str
    derived: Mapping[str, AttributeValue | None] = field(default_factory=dict)
    timeline: Mapping[str, str] = field(default_factory=dict)
    state_is_known: bool = True

    @cached_property
    def version(self) -> str:
        """`<event_time>#<rank>#<digest>`: sorts in the order of the changes, and is equal only for equal content."""
        content = {name: value for name, value in self.attributes.items() if value is not None}
        digest = hashlib.sha256(_canonical_json(content).encode()).hexdigest()[:16]
        return f"{self.event_time}#{self.rank:02d}#{digest}"
