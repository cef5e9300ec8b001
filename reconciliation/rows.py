"""Rows of Canvas Data 2 in the terms of our events: global ids, and every value in its stored form."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from functions.canvas.enrollment import EnrollmentBody
from functions.canvas.enrollment_state import EnrollmentStateBody
from functions.canvas.fields import parse_timestamp
from functions.canvas.ids import global_id, id_text
from functions.projection.change import AttributeValue

CanvasTable = Literal["enrollments", "enrollment_states"]
"""A table of Canvas Data 2 that holds a record family of ours."""

Family = Literal["enrollment", "state", "import"]

FAMILY_OF: Mapping[CanvasTable, Family] = {"enrollments": "enrollment", "enrollment_states": "state"}

OBSERVER = "ObserverEnrollment"

_PLACEHOLDERS = frozenset({"__dap_unspecified__", "__cd2_oversized_truncated__"})
"""What stands where Canvas Data 2 does not give the value.

Sources: Instructure, "Canvas dataset types" (every enum has the first) and "Canvas Data 2 technical FAQ".
"""

_LOCAL_IDS = ("course_id", "course_section_id", "user_id", "associated_user_id")


class NotComparable(StrEnum):
    """A row that cannot be compared with an item; the value is its verdict."""

    UNKNOWN = "unknown"
    """Unreadable, or a value that we need is one of the placeholders."""
    GONE = "gone"
    """Deleted from Canvas' database: there is a key, and no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record of Canvas, as one table of Canvas Data 2 shows it.

    Attributes:
        table: the table of Canvas Data 2.
        enrollment_id: the global id.
        body: every attribute that the row knows, named and stored as those of the item; `None` where it is null.
        updated_at: when Canvas last stamped the record, in the stored form. Not every change does.
        stamps: all times that Canvas itself stamped in it.
    """

    table: CanvasTable
    enrollment_id: str
    body: dict[str, AttributeValue | None]
    updated_at: str | None
    stamps: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Form:
    """How one table writes an enrollment."""

    key: str
    model: type[BaseModel]
    stamps: tuple[str, ...]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that an attribute of ours comes from."""
        return frozenset(self.model.model_fields) - {"enrollment_id"}


_FORMS: Mapping[CanvasTable, _Form] = {
    "enrollments": _Form(key="id", model=EnrollmentBody, stamps=("last_activity_at", "updated_at", "created_at")),
    "enrollment_states": _Form(key="enrollment_id", model=EnrollmentStateBody, stamps=("updated_at",)),
}
_COLUMNS = {table: form.columns for table, form in _FORMS.items()}


def read_row(line: bytes, table: CanvasTable, *, shard: int) -> Row | NotComparable:
    """The row that `line`, a JSON object of `table`, holds; or why it cannot be compared.

    Args:
        line: `{"key": {…}, "value": {…}, "meta": {…}}`; null values are left out.
        table: the table of which the line is.
        shard: of the school. Ids are local to it, those of other shards global.
    """
    try:
        record = json.loads(line)
        key, value, meta = (record.get(part) for part in ("key", "value", "meta"))
        if value is None or (isinstance(meta, dict) and meta.get("action") == "D"):
            return NotComparable.GONE if _is_deletion(key, meta, table) else NotComparable.UNKNOWN
        return _row(key, value, table, shard)
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
        return NotComparable.UNKNOWN


def _is_deletion(key: Any, meta: Any, table: CanvasTable) -> bool:
    return meta.get("action") == "D" and id_text(key[_FORMS[table].key]) is not None


def _row(key: dict[str, Any], value: dict[str, Any], table: CanvasTable, shard: int) -> Row | NotComparable:
    form = _FORMS[table]
    columns = {name: value[name] for name in _COLUMNS[table] if value.get(name) is not None}
    if any(isinstance(content, str) and content in _PLACEHOLDERS for content in columns.values()):
        return NotComparable.UNKNOWN
    if columns.get("type") != OBSERVER:
        columns.pop("associated_user_id", None)  # as Canvas' events leave it out
    for name in _LOCAL_IDS:
        if name in columns:
            columns[name] = _global(columns[name], shard)
    columns["enrollment_id"] = _global(key[form.key], shard)
    try:
        body = dict(vars(form.model.model_validate(columns)))
    except ValidationError:
        return NotComparable.UNKNOWN
    return Row(
        table=table,
        enrollment_id=body.pop("enrollment_id"),
        body=body,
        updated_at=_timestamp(value.get("updated_at")),
        stamps=tuple(stamp for name in form.stamps if (stamp := _timestamp(value.get(name))) is not None),
    )


def _global(canvas_id: object, shard: int) -> str:
    text = id_text(canvas_id)
    if text is None:
        raise ValueError
    return global_id(text, shard=shard)


def _timestamp(value: object) -> str | None:
    try:
        return parse_timestamp(value)
    except PydanticCustomError:
        return None
