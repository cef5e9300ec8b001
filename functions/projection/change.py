"""A change to one item, and the version that says whether it is newer than what the item holds."""

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
    """What became of a change. All three are success."""

    APPLIED = "Applied"
    DUPLICATE = "Duplicate"
    STALE = "Stale"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One record family's whole state after one event.

    Attributes:
        key: the item's primary key.
        attributes: every attribute of the family; `None` clears one, since null and missing mean the same in Canvas.
        event_time: when it happened, in the stored form.
        rank: 0 to 99; orders events of the same time whose order has a meaning.
        version_attribute: where the item keeps the family's version.
        derived: attributes that follow from the others and serve an index. No content: the version does not know them.
        timeline: attribute to time; each keeps its latest time whatever the order of arrival, even of a stale change.
        state_is_known: whether Canvas' states, as we know them, include this one. Unknown states are kept and counted.
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
        """`<event_time>#<rank>#<digest>`: text that sorts as the changes happened, equal only for equal content."""
        content = {name: value for name, value in self.attributes.items() if value is not None}
        digest = hashlib.sha256(_canonical_json(content).encode()).hexdigest()[:16]
        return f"{self.event_time}#{self.rank:02d}#{digest}"
