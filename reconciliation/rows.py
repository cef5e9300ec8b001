"""Parses rows of Canvas Data 2 into the attributes of items: global ids, and values in their stored form."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from functions.canvas.enrollment import EnrollmentBody
from functions.canvas.enrollment_state import EnrollmentStateBody
from functions.canvas.fields import parse_timestamp
from functions.canvas.ids import global_id, id_text
from functions.projection.change import AttributeValue
from functions.routes import Family
from reconciliation.verdict import Verdict

CanvasTable = Literal["enrollments", "enrollment_states"]
"""A table of Canvas Data 2 that is compared with a record family."""

FAMILY_OF: Mapping[CanvasTable, Family] = {"enrollments": "enrollment", "enrollment_states": "state"}

OBSERVER = "ObserverEnrollment"

TRUNCATED = "__cd2_oversized_truncated__"
_PLACEHOLDERS = frozenset({"__dap_unspecified__", TRUNCATED})
"""Placeholders of values that Canvas Data 2 does not give.

Sources: Instructure, "Canvas dataset types" (every enum has the first) and "Canvas Data 2 technical FAQ".
"""

_LOCAL_IDS = ("course_id", "course_section_id", "user_id", "associated_user_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table of Canvas Data 2.

    Attributes:
        table: the table of Canvas Data 2.
        enrollment_id: the global id.
        body: all attributes of the row, with the names and values of the item; `None` where they are null.
        updated_at: when Canvas last stamped the record, in the stored form. Some changes do not.
        stamps: all times in the row that Canvas, and not the data lake, set.
    """

    table: CanvasTable
    enrollment_id: str
    body: dict[str, AttributeValue | None]
    updated_at: str | None
    stamps: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Form:
    """The schema of one table: the key column, the model of the attributes, and the columns with stamps."""

    key: str
    model: type[BaseModel]
    stamps: tuple[str, ...]

    @property
    def columns(self) -> frozenset[str]:
        """The columns that are attributes of the item."""
        return frozenset(self.model.model_fields) - {"enrollment_id"}


_FORMS: Mapping[CanvasTable, _Form] = {
    "enrollments": _Form(key="id", model=EnrollmentBody, stamps=("last_activity_at", "updated_at", "created_at")),
    "enrollment_states": _Form(key="enrollment_id", model=EnrollmentStateBody, stamps=("updated_at",)),
}
_COLUMNS = {table: form.columns for table, form in _FORMS.items()}


def read_row(line: bytes, table: CanvasTable, *, shard: int) -> Row | Verdict:
    """Parse `line`, a JSON object of `table`; return why where it cannot be compared.

    Args:
        line: `{"key": {…}, "value": {…}, "meta": {…}}`; null values are left out.
        table: the table of the line.
        shard: the shard of the school. Ids of it are local, ids of other shards are global.
    """
    try:
        record = json.loads(line)
        key, value, meta = (record.get(part) for part in ("key", "value", "meta"))
        if value is None or (isinstance(meta, dict) and meta.get("action") == "D"):
            return Verdict.GONE if _is_deletion(key, meta, table) else Verdict.UNKNOWN
        return _row(key, value, table, shard)
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
        return Verdict.UNKNOWN


def _is_deletion(key: Any, meta: Any, table: CanvasTable) -> bool:
    return meta.get("action") == "D" and id_text(key[_FORMS[table].key]) is not None


def _row(key: dict[str, Any], value: dict[str, Any], table: CanvasTable, shard: int) -> Row | Verdict:
    form = _FORMS[table]
    columns = {name: value[name] for name in _COLUMNS[table] if value.get(name) is not None}
    if any(isinstance(content, str) and content in _PLACEHOLDERS for content in columns.values()):
        return Verdict.UNKNOWN
    if columns.get("type") != OBSERVER:
        columns.pop("associated_user_id", None)  # events do not have it either
    for name in _LOCAL_IDS:
        if name in columns:
            columns[name] = _global(columns[name], shard)
    columns["enrollment_id"] = _global(key[form.key], shard)
    try:
        body = dict(vars(form.model.model_validate(columns)))
    except ValidationError:
        return Verdict.UNKNOWN
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
