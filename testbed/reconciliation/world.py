"""Plays a history: a school, Canvas Data 2, the tables, and runs of the reconciliation, on one simulated clock."""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from random import Random
from typing import get_args

from reconciliation.rows import FAMILY_OF, CanvasTable
from testbed.canvas.lake import UNREADABLE, Lake
from testbed.canvas.rows import SisImport, Version
from testbed.canvas.school import School
from testbed.reconciliation.changes import apply, chosen
from testbed.reconciliation.deliveries import Deliveries, Message, Place, Tables
from testbed.reconciliation.operations import (
    Arrives,
    Begins,
    Continues,
    Enrolled,
    Happens,
    History,
    Operation,
    Passes,
    Repeats,
    Spoils,
)
from testbed.reconciliation.run import MARGIN, WINDOW, Answer, Run
from testbed.reconciliation.truth import Content, Record, content_of_item, content_of_row, differ, stamps_of

BEGINNING = datetime(2024, 3, 4, 8, tzinfo=UTC)
"""In the past: the functions reject events from the future, by the real clock."""

LONGEST_STALL = timedelta(days=6)
"""Below the seven days for which an as-of time waits for new rows of Canvas Data 2."""

_SPOILS_KEY = frozenset({"not JSON", "cut off", "not an object", "deep nesting", "empty line", "invalid UTF-8"}) | {
    kind for kind in UNREADABLE if "key" in kind or "number" in kind
}
"""Kinds of `UNREADABLE` that affect the record of a removed row, too: it has a key and no value."""

_FOREIGN_SHARD = 2108
_TABLES: tuple[CanvasTable, ...] = get_args(CanvasTable)


class World:
    """A school, its Canvas Data 2, and the runs that compare the tables with it.

    Attributes:
        school: Canvas.
        lake: Canvas Data 2.
        deliveries: messages to the tables, and the tables.
        runs: all runs so far.
        contradictions: number of runs that failed because a row lacked a change from before the as-of time.
    """

    def __init__(self, history: History, tables: Tables, *, root_account_id: str = "21070000000000001") -> None:
        self.school = School(BEGINNING, root_account_id=root_account_id, seed=history.seed)
        self.school.sends_uuids = history.sends_uuids
        self.deliveries = Deliveries(self.school, tables)
        self.runs: list[Run] = []
        self.contradictions = 0
        self._history = history
        self._spoiled: dict[tuple[CanvasTable, int], str] = {}
        self._enroll_all()
        self.lake = Lake(self.school)
        self._lateness = _Lateness(history.seed)
        self.lake._random = self._lateness  # noqa: SLF001 - the world decides which rows are late
        self.lake.fraction_digits = history.fraction_digits
        self._content_until = dict.fromkeys(_TABLES, self.school.now)

    def play(self, operations: Iterable[Operation] | None = None) -> "World":
        """Play `operations`, by default those of the history."""
        for operation in self._history.operations if operations is None else operations:
            match operation:
                case Happens():
                    apply(self.school, operation)
                    self.deliveries.announce(operation.delays, twice=operation.twice)
                case Passes():
                    self.school.now += operation.time
                case Begins():
                    run = self.begin(operation)
                    for _ in range(operation.steps):
                        self.step(run, operation.delays)
                case Continues() if unpublished := [run for run in self.runs if not run.published]:
                    self.step(chosen(unpublished, operation.which), operation.delays)
                case Repeats() if begun := [run for run in self.runs if run.compared]:
                    self._repeat(chosen(begun, operation.which), operation.delays)
                case Spoils():
                    self._spoil(operation)
                case Arrives():
                    self.deliveries.send([self._flawed(operation)])
            self.deliveries.deliver()
        return self

    def begin(self, begins: Begins) -> Run:
        """Load Canvas Data 2 and begin a run."""
        if begins.busy:
            self._be_busy()
            self.school.now += begins.lag
            self.deliveries.deliver()
        if begins.loaded:
            self.load(begins)
        started_at = self.school.now
        answers = {table: self.answer(table, full=begins.full, since=started_at - WINDOW) for table in _TABLES}
        users = {
            key: loaded.version.row
            for key, loaded in self.lake.tables["users"].rows.items()
            if begins.full and loaded.version.row is not None
        }
        run = Run(
            number=self._history.first_number + len(self.runs),
            full=begins.full,
            root_account_id=self.school.root_account_id,
            answers=answers,
            users=users,
            digits=self.lake.fraction_digits,
        )
        self.runs.append(run)
        return run

    def answer(self, table: CanvasTable, *, full: bool, since: datetime) -> Answer:
        """Query `table` of Canvas Data 2 as it is now."""
        at = self.lake.at(table)
        lines = self.lake.snapshot(table) if full else self.lake.incremental(table, since, at)
        records = tuple(
            Record(key=key, version=loaded.version, readable=self._is_readable(table, key, loaded.version.row))
            for key, loaded in self.lake.tables[table].rows.items()
            if (loaded.version.row is not None if full else since <= loaded.loaded_at < at)
        )
        self._assert_margin(table, records, at)
        return Answer(at=at, records=records, lines=tuple(lines))

    def load(self, begins: Begins) -> None:
        """Load Canvas Data 2 as `begins` sets. No stall is longer than `LONGEST_STALL`."""
        self.lake.lag, self.lake.disorder = begins.lag, begins.disorder
        self.lake.quiet_tables_keep_at = begins.quiet
        for table in _TABLES:
            stalled = begins.stalled and self.school.now - self._content_until[table] < LONGEST_STALL
            self.lake.stalled = {table} if stalled else set()
            self._lateness.first = True
            self.lake.load(table)
            if not stalled:
                self._content_until[table] = self.school.now
        self.lake.load("users")

    def step(self, run: Run, delays: Sequence[timedelta]) -> None:
        """Take the next step of `run`."""
        if not run.compared:
            self._compare(run)
        elif not run.published:
            self._publish(run, delays)

    def imports(self, items: Mapping[int, object], *, since: datetime) -> dict[int, Version[SisImport]]:
        """Query REST for recent imports, and for those that are unfinished in `items`."""
        unfinished = {key for key, item in items.items() if isinstance(item, dict) and "unfinished_since" in item}
        table = self.school.sis_imports
        queried = {row.id for row in table.rows() if row.created_at > since} | unfinished
        return {key: table.history[key][-1] for key in sorted(queried)}

    def wrong(self, *, since: datetime | None = None) -> dict[Place, tuple[Content, Content]]:
        """Expected and actual content of all records that differ from Canvas, of those loaded at or after `since`."""
        enrollments, imports = self.deliveries.contents()
        wrong: dict[Place, tuple[Content, Content]] = {}
        for table in _TABLES:
            family = FAMILY_OF[table]
            for key, loaded in self.lake.tables[table].rows.items():
                versions = self.lake.tables[table].source.history[key]
                if versions[-1].row is None or (since is not None and loaded.loaded_at < since):
                    continue
                item_key = (self.school.global_id(key),)
                expected = content_of_row(versions[-1].row, self.school.shard)
                actual = content_of_item(enrollments.get(item_key, {}), family)
                if differ(expected, actual):
                    wrong[family, item_key] = expected, actual
        for row in self.school.sis_imports.rows():
            if since is not None and row.created_at < since:
                continue
            key_of_import = self.school.root_account_id, str(row.id)
            expected = {"workflow_state": row.workflow_state}
            actual = content_of_item(imports.get(key_of_import, {}), "import")
            if differ(expected, actual):
                wrong["import", key_of_import] = expected, actual
        return wrong

    def _enroll_all(self) -> None:
        school, history = self.school, self._history
        registrar, office = school.add_user("Registrar"), school.add_course("Office")
        school.enroll(registrar, school.add_section(office), role="TeacherEnrollment")
        users = [school.add_user("Ada Lovelace"), school.add_user("Emmy Noether")]
        users.append(school.add_user("Kurt Gödel", shard=_FOREIGN_SHARD))
        courses = [school.add_course("Algebra"), school.add_course("Logic")]
        sections = [school.add_section(course) for course in (courses[0], courses[0], courses[1])]
        for number, enrolled in enumerate(history.enrolled):
            self._enroll(enrolled, users, sections)
            if number < history.unannounced:
                self.deliveries.take_announcements()
            else:
                self.deliveries.announce()
        self.deliveries.deliver()
        school.now += timedelta(hours=5)

    def _enroll(self, enrolled: Enrolled, users: Sequence[int], sections: Sequence[int]) -> None:
        section = chosen(sections, enrolled.section)
        if enrolled.role == "StudentViewEnrollment":
            self.school.enroll_test_student(section)
            return
        self.school.enroll(
            chosen(users, enrolled.user),
            section,
            role=enrolled.role,
            workflow_state=enrolled.state,
            associated_user_id=None if enrolled.observed is None else chosen(users, enrolled.observed),
        )

    def _spoil(self, spoils: Spoils) -> None:
        keys = [key for key, versions in self.lake.tables[spoils.table].source.history.items() if versions[-1].row]
        if not keys:
            return
        key = chosen(keys, spoils.which)
        self._spoiled[spoils.table, key] = spoils.kind
        if spoils.kind in UNREADABLE:
            self.lake.spoil(spoils.table, key, spoils.kind)
        else:
            column = "state" if spoils.table == "enrollment_states" else "workflow_state"
            self.lake.mask(spoils.table, key, **{column: spoils.kind})

    def _flawed(self, arrives: Arrives) -> Message:
        message: Message = deepcopy(chosen(self.school.announcements, arrives.which).event)
        match arrives.flaw:
            case "no event_time":
                del message["metadata"]["event_time"]
            case "naive event_time":
                message["metadata"]["event_time"] = self.school.now.replace(tzinfo=None).isoformat()
            case "in the future":
                message["metadata"]["event_time"] = (self.school.now + timedelta(hours=1)).isoformat()
            case "no id":
                del message["body"][message["metadata"]["event_name"].rpartition("_")[0].removesuffix("_state") + "_id"]
        return message

    def _be_busy(self) -> None:
        """Change the first enrollment, which is reserved for this: the change stamps rows of both tables."""
        row = next(self.school.enrollments.rows())
        change = self.school.deactivate if row.workflow_state == "active" else self.school.reactivate
        change(row.id)
        self.deliveries.announce()

    def _is_readable(self, table: CanvasTable, key: int, row: object) -> bool:
        kind = self._spoiled.get((table, key))
        return kind is None or (row is None and kind not in _SPOILS_KEY)

    def _assert_margin(self, table: CanvasTable, records: Sequence[Record], at: datetime) -> None:
        """Check the assumption of the as-of time: no row lags the newest stamp by more than the margin."""
        rows = [record.version.row for record in records if record.version.row is not None]
        newest = max((stamp for row in rows for stamp in stamps_of(row) if stamp <= at), default=BEGINNING)
        for record in records:
            later = (v.committed_at for v in self.lake.tables[table].source.history[record.key])
            missed = min((time for time in later if time > record.version.committed_at), default=None)
            assert missed is None or missed > newest - MARGIN, "a row of the model lags by more than the margin"

    def _compare(self, run: Run) -> None:
        enrollments, imports = self.deliveries.contents()
        run.compare({key: dict(item) for (key,), item in enrollments.items()})
        items = {int(number): dict(item) for (_, number), item in imports.items()}
        run.compare_imports(self.imports(items, since=self.school.now - WINDOW), items, date=self.school.now)

    def _publish(self, run: Run, delays: Sequence[timedelta]) -> None:
        corrections = run.decide(self.school.now)
        run.published = True
        if run.contradictions:
            self.contradictions += 1
        else:
            self.deliveries.publish(corrections, delays)

    def _repeat(self, run: Run, delays: Sequence[timedelta]) -> None:
        if run.published:
            self._publish(run, delays)
        else:
            self._compare(run)


class _Lateness(Random):
    """Random lateness of the rows in a load. The first row is never late: in a large school some row is in time."""

    first = False

    def random(self) -> float:
        """Draw a share of the disorder of a load."""
        if self.first:
            self.first = False
            return 0.0
        return super().random()
