"""Oracle of the reconciliation: expected items and verdicts, computed from the rows of Canvas.

Independent of the code under test: it imports nothing of `functions` and `reconciliation`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from testbed.canvas.rows import Enrollment, EnrollmentState, SisImport, User, Version

Content = dict[str, Any]
Item = Mapping[str, Any]

_SHARD = 10**13
_SECOND = timedelta(seconds=1)
_CLOCKS = timedelta(seconds=5)
_STILL = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A row of a query result.

    Attributes:
        key: id of the row.
        version: loaded version of the row.
        readable: whether the served line is valid.
    """

    key: int
    version: Version[Any]
    readable: bool = True


@dataclass(frozen=True, kw_only=True)
class TableTruth:
    """Query result of one table, and the items that it was compared with.

    Attributes:
        family: `enrollment` or `state`.
        records: rows of the result.
        items: items as read, by enrollment id.
        users: users of the snapshot, by row id; `None` in an incremental run.
        at: `at` or `until` of the result.
        now: time of the judgement.
        number: number of the run.
        margin: how much older a row may be than the newest stamp.
        shard: number of the shard of the school.
        digits: digits of fractions of seconds in timestamps of Canvas Data 2.
    """

    family: str
    records: tuple[Record, ...]
    items: Mapping[str, Item]
    users: Mapping[int, User] | None
    at: datetime
    now: datetime
    number: int
    margin: timedelta
    shard: int
    digits: int

    def as_of(self) -> datetime:
        """Expected as-of time: every change that was announced at or before it is in the result."""
        stamps = [
            self._cut(stamp)
            for record in self.records
            if record.readable and record.version.row is not None
            for stamp in stamps_of(record.version.row)
        ]
        newest = max((stamp for stamp in stamps if stamp <= self.at), default=None)
        still = self.at - _STILL
        return still if newest is None else max(min(self.at, newest) - self.margin, still)

    def verdicts(self) -> Iterable[str]:
        """Expected verdict on each row."""
        as_of = self.as_of()
        return (self._verdict(record, as_of) for record in self.records)

    def _verdict(self, record: Record, as_of: datetime) -> str:
        row = record.version.row
        if not record.readable or row is None:
            return "gone" if record.readable else "unknown"
        item = self.items.get(global_id(record.key, self.shard), {})
        event_time = moment(item.get(f"{self.family}_event_time"))
        wrong = event_time is None or differ(content_of_row(row, self.shard), content_of_item(item, self.family))
        if not wrong and not self._misnamed(row, item):
            return "same"
        stamp = None if row.updated_at is None else self._cut(row.updated_at)
        version = version_of(as_of, stamp, self.number)
        if event_time is None or version > self.now:
            return "unknown" if version > self.now else "missing"
        if self._is_behind(item, event_time, stamp):
            return "behind"
        return "drifted" if event_time < version else "undecided"

    def _is_behind(self, item: Item, event_time: datetime, stamp: datetime | None) -> bool:
        stored = moment(item.get("updated_at")) if self.family == "enrollment" else None
        if stored is None or stamp is None:
            return False
        return stored - stamp > timedelta(minutes=1) and self.at - event_time < timedelta(days=3)

    def _misnamed(self, row: Enrollment | EnrollmentState, item: Item) -> bool:
        if self.users is None or isinstance(row, EnrollmentState) or row.user_id not in self.users:
            return False
        user = self.users[row.user_id]
        return (item.get("user_name"), item.get("user_uuid")) != (user.name, user.uuid)

    def _cut(self, time: datetime) -> datetime:
        unit = 10 ** (6 - self.digits)
        return time.replace(microsecond=time.microsecond // unit * unit)


def verdict_on_import(row: SisImport | None, item: Item | None, *, date: datetime, now: datetime, number: int) -> str:
    """Expected verdict of run `number` on an import that Canvas returns as `row` at `date`."""
    if row is None:
        return "gone"
    if item is not None and item["workflow_state"] == row.workflow_state:
        return "same"
    event_time = moment(item["event_time"]) if item is not None else None
    state = row.workflow_state
    ended = row.ended_at if state.startswith(("imported", "failed")) else None
    entered = row.updated_at if state.endswith("restored") or state == "aborted" else ended
    time = version_of(date.replace(microsecond=0) - _CLOCKS, None, number)
    if entered is not None and (event_time is None or entered.replace(microsecond=0) > event_time):
        time = entered.replace(microsecond=0)
    if event_time is None or time > now:
        return "unknown" if time > now else "missing"
    return "drifted" if event_time < time else "undecided"


def version_of(as_of: datetime, stamp: datetime | None, number: int) -> datetime:
    """Expected event time of a correction of run `number`."""
    latest = as_of if stamp is None else max(as_of, stamp.replace(microsecond=0) - _CLOCKS)
    return latest.replace(microsecond=latest.microsecond // 1000 * 1000) + timedelta(microseconds=1 + number % 999)


def global_id(canvas_id: int, shard: int) -> str:
    """Convert the id of a row to a global id."""
    return str(canvas_id if canvas_id >= _SHARD else shard * _SHARD + canvas_id)


def moment(text: str | None) -> datetime | None:
    """Parse a stored timestamp."""
    return None if text is None else datetime.fromisoformat(text)


def content_of_row(row: Enrollment | EnrollmentState, shard: int) -> Content:
    """Compared attributes of a Canvas row."""
    if isinstance(row, EnrollmentState):
        return {
            "state": row.state,
            "state_started_at": row.state_started_at,
            "state_valid_until": row.state_valid_until,
            "restricted_access": bool(row.restricted_access),
        }
    observed = row.associated_user_id if row.type == "ObserverEnrollment" else None
    return {
        "course_id": global_id(row.course_id, shard),
        "course_section_id": global_id(row.course_section_id, shard),
        "user_id": global_id(row.user_id, shard),
        "type": row.type,
        "workflow_state": row.workflow_state,
        "associated_user_id": None if observed is None else global_id(observed, shard),
        "limit_privileges_to_course_section": bool(row.limit_privileges_to_course_section),
    }


def content_of_item(item: Item, family: str) -> Content:
    """Compared attributes of a table item."""
    if family == "import":
        return {"workflow_state": item.get("workflow_state")}
    names: Mapping[str, Callable[[Any], object]]
    if family == "state":
        names = {"state": str, "state_started_at": moment, "state_valid_until": moment, "restricted_access": bool}
    else:
        names = {
            "course_id": str,
            "course_section_id": str,
            "user_id": str,
            "type": str,
            "workflow_state": str,
            "associated_user_id": str,
            "limit_privileges_to_course_section": bool,
        }
    content = {name: read(item[name]) if name in item else None for name, read in names.items()}
    flags = {name: bool(content[name]) for name, read in names.items() if read is bool}
    return content | flags


def differ(one: Content, other: Content) -> bool:
    """Whether two contents differ. Times less than a second apart are equal."""
    return any(not _equal(value, other[name]) for name, value in one.items())


def _equal(one: object, other: object) -> bool:
    if isinstance(one, datetime) and isinstance(other, datetime):
        return abs(one - other) < _SECOND
    return one == other


def stamps_of(row: Enrollment | EnrollmentState) -> list[datetime]:
    """Timestamps that Canvas has set in a row."""
    if isinstance(row, EnrollmentState):
        stamps = [row.updated_at]
    else:
        stamps = [row.last_activity_at, row.updated_at, row.created_at]
    return [stamp.astimezone(UTC) for stamp in stamps if stamp is not None]
