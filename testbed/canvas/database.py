"""The database of a school in Canvas: rows with their history, a clock, and the live events of each commit."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from functions.canvas.ids import IDS_PER_SHARD, global_id, local_id, shard_of
from testbed.canvas.live_events import Event, enrollment_body, enrollment_state_body, metadata
from testbed.canvas.rows import Course, Enrollment, EnrollmentState, Section, SisImport, Table, User

_BETWEEN_COMMITS = timedelta(milliseconds=40)


@dataclass(frozen=True, slots=True)
class Announcement:
    """A live event, and the time at which the content of its body was committed."""

    event: Event
    committed_at: datetime


class Database:
    """The rows of a root account, their history, and its live events. Rows are identified by their database ids."""

    def __init__(self, now: datetime, *, root_account_id: str = "21070000000000001", seed: int = 7) -> None:
        self.root_account_id = root_account_id
        """Global id of the root account."""
        self.skew = timedelta(0)
        """How far the clock of the next server is ahead. It stamps rows and events, but not the commits."""
        self.sends_uuids = True
        """Whether events have `course_uuid` and `user_uuid`, as in newer Canvas."""
        self.users = Table[User]()
        self.courses = Table[Course]()
        self.sections = Table[Section]()
        self.enrollments = Table[Enrollment]()
        self.enrollment_states = Table[EnrollmentState]()
        self.sis_imports = Table[SisImport]()
        self.announcements: list[Announcement] = []
        """All events so far, in the order of the commits."""
        self._now = now
        self._taken = 0
        self._random = Random(seed)

    @property
    def shard(self) -> int:
        """Number of the shard of the root account."""
        return shard_of(self.root_account_id)

    @property
    def account_id(self) -> int:
        """Local id of the root account."""
        return local_id(self.root_account_id)

    @property
    def now(self) -> datetime:
        """Simulated time. Each commit advances it, and it can be set.

        Raises:
            ValueError: it is set to an earlier time.
        """
        return self._now

    @now.setter
    def now(self, moment: datetime) -> None:
        if moment < self._now:
            raise ValueError(f"The school's clock is at {self._now} and cannot be set back to {moment}.")
        self._now = moment

    def global_id(self, canvas_id: int) -> str:
        """Convert a row id to a global id, as in live events."""
        return global_id(str(canvas_id), shard=self.shard)

    def row_id(self, canvas_id: str | int) -> int:
        """Convert a global or local id to a row id."""
        number = int(canvas_id)
        return number % IDS_PER_SHARD if number // IDS_PER_SHARD == self.shard else number

    def take_events(self, limit: int | None = None) -> list[Event]:
        """Return the oldest events, at most `limit`, that no earlier call has returned."""
        until = len(self.announcements) if limit is None else self._taken + limit
        taken = self.announcements[self._taken : until]
        self._taken += len(taken)
        return [announcement.event for announcement in taken]

    def enrollments_of(self, course_id: int) -> list[Enrollment]:
        """All enrollments of a course, deleted ones included."""
        return [enrollment for enrollment in self.enrollments.rows() if enrollment.course_id == course_id]

    def _commit(self) -> datetime:
        """Advance the clock by 40 to 41 ms, and return the time to stamp."""
        self._now += _BETWEEN_COMMITS + timedelta(microseconds=self._random.randrange(1000))
        return self._now + self.skew

    def _uuid(self) -> str:
        return f"{self._random.getrandbits(160):040x}"

    def _update_all(self, enrollment_ids: Iterable[int], **columns: Any) -> None:
        for each in enrollment_ids:
            self.enrollments.commit(each, replace(self.enrollments[each], **columns), self._now)

    def _update_states(self, enrollment_ids: Iterable[int], **columns: Any) -> None:
        for each in enrollment_ids:
            self.enrollment_states.commit(each, replace(self.enrollment_states[each], **columns), self._now)

    def _update_imports(self, import_ids: Iterable[int], **columns: Any) -> None:
        for each in import_ids:
            self.sis_imports.commit(each, replace(self.sis_imports[each], **columns), self._now)

    def _announce_enrollment(self, name: str, row: Enrollment, stamp: datetime, job_tag: str | None) -> None:
        course = self.courses[row.course_id] if self.sends_uuids else None
        self._announce(name, enrollment_body(row, self.users[row.user_id], course, shard=self.shard), stamp, job_tag)

    def _announce_state(self, name: str, row: EnrollmentState, stamp: datetime, job_tag: str | None) -> None:
        self._announce(name, enrollment_state_body(row, shard=self.shard), stamp, job_tag)

    def _announce(self, name: str, body: Event, stamp: datetime, job_tag: str | None) -> None:
        """Send an event 2 to 12 ms after its commit. Half of the events omit null fields: Canvas does both."""
        event_time = stamp + timedelta(milliseconds=self._random.randint(2, 12))
        number = len(self.announcements) + 1
        head = metadata(name, event_time, root_account_id=self.root_account_id, number=number, job_tag=job_tag)
        if self._random.random() < 0.5:
            body = {key: value for key, value in body.items() if value is not None}
        self.announcements.append(Announcement({"metadata": head, "body": body}, self._now))
