"""A school, its events on their way, Canvas Data 2, our tables, and runs of the reconciliation, all on one clock."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import cycle, islice
from random import Random
from typing import Any, Protocol, get_args

from functions.canvas.fields import format_timestamp
from functions.routes import CORRECTION_SOURCE
from reconciliation.rows import FAMILY_OF, CanvasTable, Family
from testbed.canvas.lake import UNREADABLE, Lake
from testbed.canvas.rows import SisImport, Version
from testbed.canvas.school import Announcement, School
from testbed.reconciliation.changes import apply, chosen
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

Message = dict[str, Any]
Items = Mapping[tuple[str, ...], Mapping[str, Any]]
Contents = tuple[Items, Items]

BEGINNING = datetime(2024, 3, 4, 8, tzinfo=UTC)
"""Long ago: the functions refuse events of the future by the real clock."""

LONGEST_STALL = timedelta(days=6)
"""Seven days after the last content of the lake an as-of time no longer waits for it."""

BATCH = 10
"""The most messages that a function is handed at once."""

_OF_KEYS = frozenset({"not JSON", "cut off", "not an object", "deep nesting", "empty line", "invalid UTF-8"}) | {
    kind for kind in UNREADABLE if "key" in kind or "number" in kind
}
"""What spoils the record of a removed row, too: it has a key and no value."""

_FOREIGN_SHARD = 2108
_TABLES: tuple[CanvasTable, ...] = get_args(CanvasTable)


class Tables(Protocol):
    """Our tables, and the functions that write them."""

    def deliver_batch(self, messages: list[Message]) -> list[str]:
        """Deliver messages of one event as one batch; for each `Done`, `Rejected` or `Retried`."""

    def contents(self) -> Contents:
        """Both tables, by key: enrollments, then imports."""

    def clear(self) -> None:
        """Remove every item."""

    def at_the_time_of(self, now: Callable[[], datetime]) -> AbstractContextManager[None]:
        """Let the functions' clock show `now`, until the block ends."""


class SetBack(AssertionError):
    """Raised where a correction replaced what counts by what Canvas had before."""


@dataclass(frozen=True)
class Said:
    """What an event says of one record, and since when that was so."""

    content: Content
    committed_at: datetime


Place = tuple[Family, tuple[str, ...]]


class World:
    """Plays a history.

    Attributes:
        school: Canvas.
        lake: Canvas Data 2.
        runs: every run so far.
        archive: every message that was delivered and accepted, in that order.
        rejected: every message that was delivered and refused.
        corrected: how often a correction replaced an attribute that counts.
        contradictions: how many runs failed, because rows lacked what their as-of time says that they have.
    """

    def __init__(self, history: History, tables: Tables, *, root_account_id: str = "21070000000000001") -> None:
        self.school = School(BEGINNING, root_account_id=root_account_id, seed=history.seed)
        self.school.sends_uuids = history.sends_uuids
        self.runs: list[Run] = []
        self.archive: list[Message] = []
        self.rejected: list[Message] = []
        self.corrected = 0
        self.contradictions = 0
        self._history = history
        self._tables = tables
        self._contents: Contents | None = None
        self._due: list[tuple[datetime, int, Message]] = []
        self._sent = 0
        self._spoiled: dict[tuple[CanvasTable, int], str] = {}
        self._said: defaultdict[tuple[Place, str], list[Said]] = defaultdict(list)
        self._begin()
        self.lake = Lake(self.school)
        self._lateness = _Lateness(history.seed)
        self.lake._random = self._lateness  # noqa: SLF001 - which rows are late is for us to say
        self.lake.fraction_digits = history.fraction_digits
        self._content_until = dict.fromkeys(_TABLES, self.school.now)

    def play(self, operations: Iterable[Operation] | None = None) -> "World":
        """Let everything happen, or `operations` only."""
        for operation in self._history.operations if operations is None else operations:
            match operation:
                case Happens():
                    apply(self.school, operation)
                    self.announce(operation.delays, twice=operation.twice)
                case Passes():
                    self.school.now += operation.time
                case Begins():
                    run = self.begin(operation)
                    for _ in range(operation.steps):
                        self.step(run, operation.delays)
                case Continues() if unpublished := [run for run in self.runs if not run.published]:
                    self.step(chosen(unpublished, operation.which), operation.delays)
                case Repeats() if begun := [run for run in self.runs if run.compared]:
                    self.repeat(chosen(begun, operation.which), operation.delays)
                case Spoils():
                    self._spoil(operation)
                case Arrives():
                    self._send([self._flawed(operation)], (timedelta(0),))
            self._deliver()
        return self

    # Events.

    def announce(self, delays: Sequence[timedelta] = (timedelta(0),), *, twice: bool = False) -> None:
        """Send what Canvas has announced since the last time; each event arrives after the next of `delays`."""
        announcements = self._taken()
        for announcement in announcements:
            self._remember(announcement)
        self._send([announcement.event for announcement in announcements], delays, copies=2 if twice else 1)

    def drain(self) -> None:
        """Wait until every event has arrived."""
        if self._due:
            self.school.now = max(self.school.now, *(due for due, _, _ in self._due))
        self._deliver()

    # Runs.

    def begin(self, begins: Begins) -> Run:
        """Load the lake and begin a run."""
        if begins.busy:
            self._be_busy()
            self.school.now += begins.lag
            self._deliver()
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
        """What DAP answers of `table` now."""
        at = self.lake.at(table)
        lines = self.lake.snapshot(table) if full else self.lake.incremental(table, since, at)
        records = tuple(
            Record(key=key, version=loaded.version, readable=self._is_readable(table, key, loaded.version.row))
            for key, loaded in self.lake.tables[table].rows.items()
            if (loaded.version.row is not None if full else since <= loaded.loaded_at < at)
        )
        self._promise(table, records, at)
        return Answer(at=at, records=records, lines=tuple(lines))

    def load(self, begins: Begins) -> None:
        """Load the lake as `begins` says. No stall is longer than `LONGEST_STALL`."""
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

    def step(self, run: Run, delays: Sequence[timedelta] = (timedelta(0),)) -> None:
        """Take the next step of `run`."""
        if not run.compared:
            self._compare(run)
        elif not run.published:
            self._publish(run, delays)

    def repeat(self, run: Run, delays: Sequence[timedelta] = (timedelta(0),)) -> None:
        """Take the last step of `run` once more."""
        if run.published:
            self._publish(run, delays)
        else:
            self._compare(run)

    def imports(self, items: Mapping[int, object], *, since: datetime) -> dict[int, Version[SisImport]]:
        """What REST answers of recent imports, and of those that `items` has as unfinished."""
        unfinished = {key for key, item in items.items() if isinstance(item, dict) and "unfinished_since" in item}
        table = self.school.sis_imports
        asked = {row.id for row in table.rows() if row.created_at > since} | unfinished
        return {key: table.history[key][-1] for key in sorted(asked)}

    # The truth.

    def contents(self) -> Contents:
        """Both tables, as the events that were delivered so far left them."""
        if self._contents is None:
            self._contents = self._tables.contents()
        return self._contents

    def wrong(self, *, since: datetime | None = None) -> dict[Place, tuple[Content, Content]]:
        """What differs from Canvas, with what it should be and what it is; only rows loaded at or after `since`."""
        enrollments, imports = self.contents()
        wrong: dict[Place, tuple[Content, Content]] = {}
        for table in _TABLES:
            family = FAMILY_OF[table]
            for key, loaded in self.lake.tables[table].rows.items():
                versions = self.lake.tables[table].source.history[key]
                if versions[-1].row is None or (since is not None and loaded.loaded_at < since):
                    continue
                place = (self.school.global_id(key),)
                right = content_of_row(versions[-1].row, self.school.shard)
                ours = content_of_item(enrollments.get(place, {}), family)
                if differ(right, ours):
                    wrong[family, place] = right, ours
        for row in self.school.sis_imports.rows():
            if since is not None and row.created_at < since:
                continue
            key_of_import = self.school.root_account_id, str(row.id)
            right = {"workflow_state": row.workflow_state}
            ours = content_of_item(imports.get(key_of_import, {}), "import")
            if differ(right, ours):
                wrong["import", key_of_import] = right, ours
        return wrong

    def _begin(self) -> None:
        """People, courses and enrollments, some of them older than the subscription."""
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
                self._taken()
            else:
                self.announce()
        self._deliver()
        school.now += timedelta(hours=5)

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

    def _be_busy(self) -> None:
        """An announced change that stamps both tables: of the first enrollment, to which nothing else happens."""
        row = next(self.school.enrollments.rows())
        change = self.school.deactivate if row.workflow_state == "active" else self.school.reactivate
        change(row.id)
        self.announce()

    def _taken(self) -> list[Announcement]:
        first = len(self.school.announcements) - len(self.school.take_events())
        return self.school.announcements[first:]

    def _is_readable(self, table: CanvasTable, key: int, row: object) -> bool:
        kind = self._spoiled.get((table, key))
        return kind is None or (row is None and kind not in _OF_KEYS)

    def _promise(self, table: CanvasTable, records: Sequence[Record], at: datetime) -> None:
        """No row lags the newest stamp of its result by more than the margin."""
        rows = [record.version.row for record in records if record.version.row is not None]
        newest = max((stamp for row in rows for stamp in stamps_of(row) if stamp <= at), default=BEGINNING)
        for record in records:
            later = (v.committed_at for v in self.lake.tables[table].source.history[record.key])
            missed = min((time for time in later if time > record.version.committed_at), default=None)
            assert missed is None or missed > newest - MARGIN, "the world does not keep its promise"

    def _compare(self, run: Run) -> None:
        enrollments, imports = self.contents()
        run.compare({key: dict(item) for (key,), item in enrollments.items()})
        items = {int(number): dict(item) for (_, number), item in imports.items()}
        run.compare_imports(self.imports(items, since=self.school.now - WINDOW), items, date=self.school.now)

    def _publish(self, run: Run, delays: Sequence[timedelta]) -> None:
        made = run.decide(self.school.now)
        run.published = True
        if run.contradictions:
            self.contradictions += 1
            return
        for each in made:
            message = each.correction.detail
            family, _ = place = self._place(message)
            said = Said(content_of_item(each.correction.body, family), each.committed_at)
            self._said[place, each.correction.event_time].append(said)
        self._send([each.correction.detail for each in made], delays)

    def _remember(self, announcement: Announcement) -> None:
        """Know when what an event says was committed."""
        event, moment = announcement.event, announcement.committed_at
        family, _ = place = self._place(event)
        if family == "import":
            content: Content = {"workflow_state": event["body"]["workflow_state"]}
        else:
            table = self.school.enrollments if family == "enrollment" else self.school.enrollment_states
            version = table.version_at(self.school.row_id(event["body"]["enrollment_id"]), moment)
            assert version is not None
            assert version.row is not None
            content = content_of_row(version.row, self.school.shard)
        event_time = format_timestamp(datetime.fromisoformat(event["metadata"]["event_time"]))
        self._said[place, event_time].append(Said(content, moment))

    def _place(self, message: Message) -> Place:
        """The record that a message is about."""
        name, body = message["metadata"]["event_name"], message["body"]
        if name.startswith("sis_batch"):
            return "import", (self.school.root_account_id, body["sis_batch_id"])
        return ("state" if name.startswith("enrollment_state") else "enrollment"), (body["enrollment_id"],)

    def _send(self, messages: Iterable[Message], delays: Sequence[timedelta], *, copies: int = 1) -> None:
        waits = cycle(delays or (timedelta(0),))
        for message in messages:
            for delay in islice(waits, copies):
                heappush(self._due, (self.school.now + delay, self._sent, message))
                self._sent += 1

    def _deliver(self) -> None:
        """Deliver what is due, in batches as a queue makes them."""
        due = []
        while self._due and self._due[0][0] <= self.school.now:
            due.append(heappop(self._due)[2])
        for batch in self._batches(due):
            before = self.contents() if _is_correction(batch[0]) else None
            self._contents = None
            with self._tables.at_the_time_of(lambda: self.school.now):
                fates = self._tables.deliver_batch(batch)
            for message, fate in zip(batch, fates, strict=True):
                (self.archive if fate == "Done" else self.rejected).append(message)
            if before is not None:
                after = self.contents()
                for message in batch:
                    self._check_correction(message, before, after)

    def _batches(self, messages: Iterable[Message]) -> Iterator[list[Message]]:
        """Messages of one event together; of corrections, one for each record."""
        filling: dict[tuple[str, bool], list[Message]] = {}
        for message in messages:
            key = message["metadata"]["event_name"], _is_correction(message)
            batch = filling.setdefault(key, [])
            taken = key[1] and self._place(message) in map(self._place, batch)
            if taken or len(batch) == BATCH:
                yield filling.pop(key)
            filling.setdefault(key, []).append(message)
        yield from filling.values()

    def _check_correction(self, message: Message, before: Contents, after: Contents) -> None:
        family, key = place = self._place(message)
        table = family == "import"
        old, new = before[table].get(key, {}), after[table].get(key, {})
        name = "event_time" if table else f"{family}_event_time"
        event_time = message["metadata"]["event_time"]
        if name not in old or new[name] != event_time:
            return
        was, now = content_of_item(old, family), content_of_item(new, family)
        if not differ(was, now):
            return
        self.corrected += 1
        replaced, by = self._since(place, old[name], was), self._since(place, event_time, now)
        if by < replaced:
            raise SetBack(f"{family}: {was} of {replaced} replaced by {now} of {by}")

    def _since(self, place: Place, event_time: str, content: Content) -> datetime:
        """When Canvas committed what an item holds, as far as its event says."""
        return min(s.committed_at for s in self._said[place, event_time] if not differ(s.content, content))


class _Lateness(Random):
    """How late each row of a load is: the first never, since in a large school some row always is in time."""

    first = False

    def random(self) -> float:
        """A share of the lake's disorder."""
        if self.first:
            self.first = False
            return 0.0
        return super().random()


def _is_correction(message: Message) -> bool:
    return bool(message["metadata"]["producer"] == CORRECTION_SOURCE)
