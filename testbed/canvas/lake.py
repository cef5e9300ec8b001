"""Model of Canvas Data 2: tables that are loaded late, in part and out of order.

Its times (`at`, `meta.ts`) are load times, so a row never has a newer commit. Source: technical FAQ of Canvas Data 2
("assigned the time of insertion … into a table hosted by CD2") and the limits and policies of DAP.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

from functions.canvas.ids import IDS_PER_SHARD
from testbed.canvas.rows import Course, Enrollment, EnrollmentState, Section, Table, User, Version
from testbed.canvas.school import School

LakeTableName = Literal["enrollments", "enrollment_states", "users", "courses", "course_sections"]
Record = dict[str, Any]

KEY_OF: Mapping[LakeTableName, str] = {
    "enrollments": "id",
    "enrollment_states": "enrollment_id",
    "users": "id",
    "courses": "id",
    "course_sections": "id",
}
_ROW_OF: Mapping[LakeTableName, type[Enrollment | EnrollmentState | User | Course | Section]] = {
    "enrollments": Enrollment,
    "enrollment_states": EnrollmentState,
    "users": User,
    "courses": Course,
    "course_sections": Section,
}

COLUMNS_OF: Mapping[LakeTableName, tuple[str, ...]] = {
    name: tuple(field.name for field in fields(row) if field.name != KEY_OF[name]) for name, row in _ROW_OF.items()
}

REFRESH = timedelta(hours=4)
"""Load interval. Source: DAP, limits and policies, "Data in DAP is refreshed every 4 hours"."""

_MARGIN_OF_A_LOAD = timedelta(milliseconds=1)


def _value(**columns: object) -> Callable[[Record], bytes]:
    return lambda record: _line(record | {"value": record.get("value", {}) | columns})


def _line(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


UNREADABLE: Mapping[str, Callable[[Record], bytes]] = {
    "not JSON": lambda _: b"upstream connect error",
    "cut off": lambda record: _line(record)[:-9],
    "not an object": lambda _: b"[]",
    "no key": lambda record: _line({name: part for name, part in record.items() if name != "key"}),
    "key is not an object": lambda record: _line(record | {"key": 1}),
    "key is not a number": lambda record: _line(record | {"key": dict.fromkeys(record["key"], "one")}),
    "key is a fraction": lambda record: _line(record | {"key": dict.fromkeys(record["key"], 1.5)}),
    "endless number": lambda record: _line(record | {"key": dict.fromkeys(record["key"], 0)}).replace(
        b":0}", b":" + b"9" * 5_000 + b"}"
    ),
    "value is not an object": lambda record: _line(record | {"value": ["active"]}),
    "value is null": lambda record: _line(record | {"value": None}),
    "no value": lambda record: _line({name: part for name, part in record.items() if name != "value"}),
    "bad timestamp": _value(updated_at="yesterday", state_started_at="yesterday", created_at="yesterday"),
    "naive timestamp": _value(updated_at="2026-01-01T00:00:00", state_started_at="2026-01-01T00:00:00"),
    "id is an object": _value(course_id={"id": 1}, state={"name": "active"}),
    "state is a number": _value(workflow_state=1, state=1),
    "flag is a text": _value(limit_privileges_to_course_section="perhaps", restricted_access="perhaps"),
    "NaN": _value(course_id=float("nan"), state=float("nan")),
    "deep nesting": lambda _: b'{"key":' + b"[" * 100_000,
    "empty line": lambda _: b"",
    "invalid UTF-8": lambda record: _line(record | {"meta": {"ts": "?"}}).replace(b'"?"', b'"\xff\xfe"'),
}
"""Unreadable lines by name, as functions of the original record."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version of a row, and its load time."""

    version: Version[Any]
    loaded_at: datetime


class LakeTable:
    """One table of Canvas Data 2."""

    def __init__(self, source: Table[Any]) -> None:
        self.source = source
        self.rows: dict[int, Loaded] = {}
        self.at: datetime | None = None
        """Time of the last load, `at` in DAP."""


class Lake:
    """The tables of Canvas Data 2. Only `load` changes them."""

    def __init__(self, school: School, *, lag: timedelta = timedelta(hours=1), seed: int = 7) -> None:
        self.lag = lag
        """Age of the newest commit that a load includes."""
        self.disorder = timedelta(0)
        """Maximum additional age, drawn for each row: rows are loaded out of order."""
        self.stalled: set[LakeTableName] = set()
        """Tables that get no rows, while their `at` advances."""
        self.quiet_tables_keep_at = False
        """Whether `at` of a table without new rows stays. Source: README of instructure-dap-client 1.0.0."""
        self.fraction_digits: Literal[0, 3, 6] = 3
        """Digits of fractions of seconds in timestamps."""
        self.tables: dict[LakeTableName, LakeTable] = {
            "enrollments": LakeTable(school.enrollments),
            "enrollment_states": LakeTable(school.enrollment_states),
            "users": LakeTable(school.users),
            "courses": LakeTable(school.courses),
            "course_sections": LakeTable(school.sections),
        }
        self._school = school
        self._random = Random(seed)
        self._masks: dict[tuple[LakeTableName, int], dict[str, object]] = {}
        self._spoiled: dict[tuple[LakeTableName, int], Callable[[Record], bytes]] = {}
        self.load()

    def load(self, *names: LakeTableName) -> None:
        """Load all commits older than `lag` into the named tables, by default into all.

        The load times of the first load are those of regular loads since the commits.
        """
        now = self._school.now
        for name in names or tuple(self.tables):
            table = self.tables[name]
            at = now if table.at is None else max(now, table.at + 2 * _MARGIN_OF_A_LOAD)
            changed = 0 if name in self.stalled else self._load_rows(table, at)
            if changed or table.at is None or not self.quiet_tables_keep_at:
                table.at = at

    def mask(self, name: LakeTableName, key: int, **columns: object) -> None:
        """Serve other values in a row, such as `__dap_unspecified__`. Without `columns`, serve its own."""
        self._masks[name, key] = columns

    def spoil(self, name: LakeTableName, key: int, kind: str) -> None:
        """Serve the record of a row as this kind of `UNREADABLE`."""
        self._spoiled[name, key] = UNREADABLE[kind]

    def at(self, name: LakeTableName) -> datetime:
        """Time of the last load of a table, `at` in DAP."""
        at = self.tables[name].at
        assert at is not None
        return at

    def snapshot(self, name: LakeTableName) -> Iterator[bytes]:
        """Lines of a snapshot: all rows that are not removed, without `meta.action`."""
        for key, loaded in self.tables[name].rows.items():
            if loaded.version.row is not None:
                yield self._record(name, key, loaded, {})

    def incremental(self, name: LakeTableName, since: datetime, until: datetime) -> Iterator[bytes]:
        """Lines of an incremental query: rows loaded from `since`, inclusive, to `until`, exclusive."""
        for key, loaded in self.tables[name].rows.items():
            if since <= loaded.loaded_at < until:
                yield self._record(name, key, loaded, {"action": "D" if loaded.version.row is None else "U"})

    def _load_rows(self, table: LakeTable, at: datetime) -> int:
        horizon = self._school.now - self.lag
        first, changed = table.at is None, 0
        for key in table.source.history:
            if table.source is self._school.users and key >= IDS_PER_SHARD:
                continue  # a user of another shard
            late = self.disorder * self._random.random() if self.disorder else timedelta(0)
            version = table.source.version_at(key, horizon - late)
            shown = table.rows.get(key)
            if version is None or (shown is None and version.row is None):
                continue
            if shown is None or shown.version.committed_at < version.committed_at:
                regular = _next_load(version.committed_at + self.lag) if first else at
                table.rows[key] = Loaded(version, min(at - _MARGIN_OF_A_LOAD, regular))
                changed += 1
        return changed

    def _record(self, name: LakeTableName, key: int, loaded: Loaded, meta: Record) -> bytes:
        record: Record = {"key": {KEY_OF[name]: key}}
        row = loaded.version.row
        if row is not None:
            columns = {field: getattr(row, field) for field in COLUMNS_OF[name]}
            value = {field: self._json(column) for field, column in columns.items() if column is not None}
            record["value"] = value | self._masks.get((name, key), {})
        record["meta"] = {"ts": self._json(loaded.loaded_at)} | meta
        return self._spoiled.get((name, key), _line)(record)

    def _json(self, column: object) -> object:
        if not isinstance(column, datetime):
            return column
        text = column.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        return f"{text[: 19 + (self.fraction_digits and self.fraction_digits + 1)]}Z"


def _next_load(moment: datetime) -> datetime:
    seconds = REFRESH.total_seconds()
    return datetime.fromtimestamp((moment.timestamp() // seconds + 1) * seconds, tz=UTC)
