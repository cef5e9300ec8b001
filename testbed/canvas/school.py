"""A model of a school in Canvas: the one source of live events, of Canvas Data 2 and of REST.

An operation commits rows. It announces live events, or it is silent, and it stamps `updated_at` or does not, exactly as
Canvas does it; where the rule is not obvious, its docstring names the place in canvas-lms.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from functions.canvas.ids import IDS_PER_SHARD, global_id, local_id, shard_of
from functions.canvas.sis_batch import UNFINISHED
from testbed.canvas.live_events import Event, enrollment_body, enrollment_state_body, metadata, sis_batch_body
from testbed.canvas.rows import Course, Enrollment, EnrollmentState, Section, SisImport, Table, User

ROLE_IDS = {
    "StudentEnrollment": 3,
    "TeacherEnrollment": 4,
    "TaEnrollment": 5,
    "DesignerEnrollment": 6,
    "ObserverEnrollment": 7,
    "StudentViewEnrollment": 8,
}
"""The built-in role of each type of enrollment."""

_BETWEEN_COMMITS = timedelta(milliseconds=40)
_SIS_JOB = "SIS::CSV::ImportRefactored#run_parallel_importer"
_STATE_JOB = "EnrollmentState.process_states_in_ranges"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A live event, and when the content of its body was committed."""

    event: Event
    committed_at: datetime


class School:
    """A root account, its rows and their history, and the live events that it announced.

    Users, courses, sections, enrollments and imports are named by the ids of their rows, which none of the documented
    examples has. Every operation is one commit,
    at least 40 ms after the one before, and advances the clock by as much.
    """

    def __init__(self, now: datetime, *, root_account_id: str = "21070000000000001", seed: int = 7) -> None:
        self.root_account_id = root_account_id
        """The global id of the root account."""
        self.skew = timedelta(0)
        """How far the clock of the server that acts next is ahead: it stamps rows and events, not the commits."""
        self.sends_uuids = True
        """Whether events have `course_uuid` and `user_uuid`, as newer Canvas' do."""
        self.users = Table[User]()
        self.courses = Table[Course]()
        self.sections = Table[Section]()
        self.enrollments = Table[Enrollment]()
        self.enrollment_states = Table[EnrollmentState]()
        self.sis_imports = Table[SisImport]()
        self.announcements: list[Announcement] = []
        """Every event so far, in the order of the commits."""
        self._now = now
        self._taken = 0
        self._random = Random(seed)  # noqa: S311 - a model, not a secret

    @property
    def shard(self) -> int:
        """The shard on which the school is."""
        return shard_of(self.root_account_id)

    @property
    def account_id(self) -> int:
        """The local id of the root account."""
        return local_id(self.root_account_id)

    @property
    def now(self) -> datetime:
        """The school's own time, which only operations and setting it move.

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
        """An id of a row as live events write it."""
        return global_id(str(canvas_id), shard=self.shard)

    def row_id(self, canvas_id: str | int) -> int:
        """An id as live events write it, as the id of a row."""
        number = int(canvas_id)
        return number % IDS_PER_SHARD if number // IDS_PER_SHARD == self.shard else number

    def take_events(self, limit: int | None = None) -> list[Event]:
        """The oldest events that were not taken yet, at most `limit`."""
        until = len(self.announcements) if limit is None else self._taken + limit
        taken = self.announcements[self._taken : until]
        self._taken += len(taken)
        return [announcement.event for announcement in taken]

    def enrollments_of(self, course_id: int) -> list[Enrollment]:
        """Every enrollment of a course, deleted ones too."""
        return [enrollment for enrollment in self.enrollments.rows() if enrollment.course_id == course_id]

    # People and courses: no event of these is subscribed to.

    def add_user(self, name: str, *, shard: int | None = None) -> int:
        """A new user, or the shadow of a user of another shard, whose id is global everywhere."""
        stamp = self._commit()
        local = len(self.users.history) + 920_001
        user_id = local if shard in {None, self.shard} else int(global_id(str(local), shard=shard or 0))
        first, _, last = name.rpartition(" ")
        user = User(
            id=user_id,
            name=name,
            sortable_name=f"{last}, {first}",
            uuid=self._uuid(),
            created_at=stamp,
            updated_at=stamp,
        )
        self.users.commit(user_id, user, self._now)
        return user_id

    def rename_user(self, user_id: int, name: str) -> None:
        """Change a name. Stamped on the user; no enrollment changes, and no event of one is sent."""
        stamp = self._commit()
        self.users.commit(user_id, replace(self.users[user_id], name=name, updated_at=stamp), self._now)

    def add_course(self, name: str, *, start_at: datetime | None = None, conclude_at: datetime | None = None) -> int:
        """A new course. Before `start_at` and after `conclude_at` its enrollments are pending or completed."""
        stamp = self._commit()
        course = Course(
            id=len(self.courses.history) + 90_501,
            name=name,
            uuid=self._uuid(),
            start_at=start_at,
            conclude_at=conclude_at,
            restrict_student_future_view=self._random.random() < 0.3,  # noqa: PLR2004
            created_at=stamp,
            updated_at=stamp,
        )
        self.courses.commit(course.id, course, self._now)
        return course.id

    def add_section(self, course_id: int) -> int:
        """A new section."""
        stamp = self._commit()
        number = len(self.sections.history) + 904_801
        section = Section(id=number, course_id=course_id, name=f"Section {number}", created_at=stamp, updated_at=stamp)
        self.sections.commit(number, section, self._now)
        return number

    # Announced: each stamps `updated_at` of the rows that it changes.

    def enroll(  # noqa: PLR0913 - the columns that differ
        self,
        user_id: int,
        section_id: int,
        *,
        role: str = "StudentEnrollment",
        workflow_state: str = "active",
        associated_user_id: int | None = None,
        limited: bool | None = None,
        import_id: int | None = None,
    ) -> int:
        """Enroll a user: `enrollment_created` and `enrollment_state_created`, of a job where an import does it."""
        stamp = self._commit()
        enrollment = Enrollment(
            id=len(self.enrollments.history) + 946_801,
            course_id=self.sections[section_id].course_id,
            course_section_id=section_id,
            user_id=user_id,
            type=role,
            role_id=ROLE_IDS[role],
            workflow_state=workflow_state,
            associated_user_id=associated_user_id,
            limit_privileges_to_course_section=limited,
            sis_batch_id=import_id,
            created_at=stamp,
            updated_at=stamp,
        )
        self.enrollments.commit(enrollment.id, enrollment, self._now)
        state = self._computed_state(enrollment, stamp)
        self.enrollment_states.commit(enrollment.id, state, self._now)
        job_tag = _SIS_JOB if import_id else None
        self._announce_enrollment("enrollment_created", enrollment, stamp, job_tag)
        self._announce_state("enrollment_state_created", state, stamp, job_tag)
        return enrollment.id

    def enroll_test_student(self, section_id: int) -> int:
        """The test student of a course's student view: a `StudentViewEnrollment`, announced like any other."""
        return self.enroll(self.add_user("Test Student"), section_id, role="StudentViewEnrollment")

    def accept(self, enrollment_id: int) -> None:
        """An invited user accepts."""
        self._change(enrollment_id, workflow_state="active")

    def reject(self, enrollment_id: int) -> None:
        """An invited user declines."""
        self._change(enrollment_id, workflow_state="rejected")

    def change_section(self, enrollment_id: int, section_id: int) -> None:
        """Move an enrollment to a section of the same course."""
        self._change(enrollment_id, course_section_id=section_id)

    def assign_observed(self, enrollment_id: int, user_id: int | None) -> None:
        """Say which user an observer observes."""
        self._change(enrollment_id, associated_user_id=user_id)

    def limit_to_section(self, enrollment_id: int, *, limited: bool) -> None:
        """Let a user interact with the own section only, or with all."""
        self._change(enrollment_id, limit_privileges_to_course_section=limited)

    def conclude(self, enrollment_id: int) -> None:
        """Conclude one enrollment."""
        self._change(enrollment_id, workflow_state="completed", completed_at=self._now + self.skew)

    def deactivate(self, enrollment_id: int) -> None:
        """Deactivate one enrollment."""
        self._change(enrollment_id, workflow_state="inactive")

    def reactivate(self, enrollment_id: int) -> None:
        """Reactivate one enrollment."""
        self._change(enrollment_id, workflow_state="active", completed_at=None)

    def delete(self, enrollment_id: int) -> None:
        """Delete one enrollment by hand."""
        self._change(enrollment_id, workflow_state="deleted")

    def recompute_states(self) -> None:
        """A job recomputes states whose date has passed or whose cache is invalid, and announces what changed.

        Source: canvas-lms, `EnrollmentState.process_states_in_ranges`.
        """
        stamp = self._commit()
        for old in list(self.enrollment_states.rows()):
            passed = old.state_valid_until is not None and old.state_valid_until <= self._now
            if passed or not (old.state_is_current and old.access_is_current):
                self._recompute(self.enrollments[old.enrollment_id], stamp, _STATE_JOB)

    # Silent: no event is sent.

    def use(self, enrollment_ids: Iterable[int]) -> None:
        """Users are active: `last_activity_at`, not stamped. Source: `Enrollment::RecentActivity`, `update_all`."""
        stamp = self._commit()
        self._update_all(enrollment_ids, last_activity_at=stamp)

    def sis_delete(self, enrollment_ids: Collection[int]) -> None:
        """Delete by a SIS CSV; stamped. Source: `Enrollment::BatchStateUpdater.mark_enrollments_as_state`."""
        self._delete_in_bulk(enrollment_ids)

    def delete_section(self, section_id: int) -> None:
        """Delete a section and its enrollments; stamped. Source: as `sis_delete`."""
        stamp = self._delete_in_bulk([e.id for e in self.enrollments.rows() if e.course_section_id == section_id])
        section = replace(self.sections[section_id], workflow_state="deleted", updated_at=stamp)
        self.sections.commit(section_id, section, self._now)

    def delete_courses(self, course_ids: Collection[int]) -> None:
        """Delete courses in a batch; stamped. Source: `Course.destroy_batch`."""
        stamp = self._delete_in_bulk([e.id for e in self.enrollments.rows() if e.course_id in course_ids])
        for course_id in course_ids:
            self._end_course(course_id, "deleted", stamp)

    def delete_user(self, user_id: int) -> None:
        """Delete a user and all of the user's enrollments; stamped."""
        stamp = self._delete_in_bulk([e.id for e in self.enrollments.rows() if e.user_id == user_id])
        self._end_user(user_id, stamp)

    def delete_course(self, course_id: int) -> None:
        """Delete one course: its enrollments are **not** stamped, their states are.

        Source: `Course#update_enrolled_users`, `update_all(workflow_state: "deleted")`.
        """
        stamp = self._commit()
        ids = [e.id for e in self.enrollments_of(course_id) if e.workflow_state != "deleted"]
        self._update_all(ids, workflow_state="deleted")
        self._update_states(ids, state="deleted", state_is_current=True, updated_at=stamp)
        self._end_course(course_id, "deleted", stamp)

    def conclude_course(self, course_id: int) -> None:
        """Conclude a course: active and invited enrollments are completed, **not** stamped; their states are.

        Source: `Course#update_enrolled_users`, `update_all(workflow_state: "completed", completed_at: …)`.
        """
        stamp = self._commit()
        ids = [e.id for e in self.enrollments_of(course_id) if e.workflow_state in {"active", "invited"}]
        self._update_all(ids, workflow_state="completed", completed_at=stamp)
        self._update_states(ids, state="completed", state_is_current=True, access_is_current=False, updated_at=stamp)
        self._end_course(course_id, "completed", stamp)

    def cross_list(self, section_id: int, course_id: int) -> None:
        """Move a section to another course: `course_id` of its enrollments, **not** stamped, deleted ones too.

        The cached states become invalid, not stamped either. Source: `CourseSection#move_to_course`.
        """
        stamp = self._commit()
        section = self.sections[section_id]
        ids = [e.id for e in self.enrollments.rows() if e.course_section_id == section_id]
        self._update_all(ids, course_id=course_id)
        self._update_states(ids, state_is_current=False, access_is_current=False)
        moved = replace(section, course_id=course_id, nonxlist_course_id=section.course_id, updated_at=stamp)
        self.sections.commit(section_id, moved, self._now)

    def change_dates(self, course_id: int, *, start_at: datetime | None, conclude_at: datetime | None) -> None:
        """Change a course's dates: the cached states become invalid, not stamped, until `recompute_states`."""
        stamp = self._commit()
        course = replace(self.courses[course_id], start_at=start_at, conclude_at=conclude_at, updated_at=stamp)
        self.courses.commit(course_id, course, self._now)
        self._update_states([e.id for e in self.enrollments_of(course_id)], state_is_current=False)

    def merge_users(self, from_id: int, into_id: int) -> None:
        """Merge one user into another: moved enrollments are stamped; deleted ones, in conflict, are **not**.

        Source: canvas-lms, `UserMerge`.
        """
        stamp = self._commit()
        mine = [e for e in self.enrollments.rows() if e.user_id == from_id]
        theirs = {(e.course_section_id, e.type) for e in self.enrollments.rows() if e.user_id == into_id}
        conflicts = [e.id for e in mine if (e.course_section_id, e.type) in theirs and e.workflow_state != "deleted"]
        self._update_all(conflicts, workflow_state="deleted")
        self._update_states(conflicts, state="deleted", state_valid_until=None, updated_at=stamp)
        self._update_all([e.id for e in mine if e.id not in conflicts], user_id=into_id, updated_at=stamp)
        observed = [e.id for e in self.enrollments.rows() if e.associated_user_id == from_id]
        self._update_all(observed, associated_user_id=into_id, updated_at=stamp)
        gone = replace(
            self.users[from_id],
            workflow_state="deleted",
            merged_into_user_id=into_id,
            deleted_at=stamp,
            updated_at=stamp,
        )
        self.users.commit(from_id, gone, self._now)

    def hard_delete(self, enrollment_ids: Iterable[int]) -> None:
        """Remove rows from the database."""
        self._commit()
        for enrollment_id in enrollment_ids:
            self.enrollments.commit(enrollment_id, None, self._now)
            self.enrollment_states.commit(enrollment_id, None, self._now)

    # SIS imports.

    def create_import(self) -> int:
        """Hand in an import: `sis_batch_created` (initializing), then `sis_batch_updated` (created)."""
        stamp = self._commit()
        number = len(self.sis_imports.history) + 9_440_001
        created = SisImport(id=number, workflow_state="initializing", created_at=stamp, updated_at=stamp)
        self.sis_imports.commit(number, created, self._now)
        self._announce("sis_batch_created", sis_batch_body(created, self.account_id), stamp, None)
        self._change_import(number, "created")
        return number

    def start_import(self, import_id: int) -> None:
        """An import begins: `importing`."""
        self._change_import(import_id, "importing", started_at=self._now + self.skew)

    def finish_import(self, import_id: int, workflow_state: str = "imported") -> None:
        """An import ends: `imported` or `failed`, with or without `_with_messages`."""
        self._change_import(import_id, workflow_state, ended_at=self._now + self.skew, progress=100)

    def start_restore(self, import_id: int) -> None:
        """The states of what an import changed are being restored: `restoring`."""
        self._change_import(import_id, "restoring", progress=0)

    def finish_restore(self, import_id: int, workflow_state: str = "restored") -> None:
        """A restore ends: `restored` or `partially_restored`. Its time is `updated_at`; `ended_at` stays."""
        self._change_import(import_id, workflow_state, progress=100)

    def clean_up_import(self, import_id: int) -> None:
        """An import in batch mode removes what it did not contain: `cleanup_batch`, silent and **not** stamped."""
        self._commit()
        self._update_imports([import_id], workflow_state="cleanup_batch")

    def abort_import(self, import_id: int) -> None:
        """Abort one import: silent, stamped. Source: `SisBatch#abort_batch`."""
        stamp = self._commit()
        self._update_imports([import_id], workflow_state="aborted", updated_at=stamp)

    def abort_all_pending(self) -> None:
        """Abort every unfinished import: silent, **not** stamped. Source: `SisBatch.abort_all_pending_for_account`."""
        self._commit()
        pending = [each.id for each in self.sis_imports.rows() if each.workflow_state in UNFINISHED]
        self._update_imports(pending, workflow_state="aborted")

    def purge_import(self, import_id: int) -> None:
        """Remove an import: REST no longer finds it."""
        self._commit()
        self.sis_imports.commit(import_id, None, self._now)

    # How rows are committed and announced.

    def _commit(self) -> datetime:
        self._now += _BETWEEN_COMMITS + timedelta(microseconds=self._random.randrange(1000))
        return self._now + self.skew

    def _uuid(self) -> str:
        return f"{self._random.getrandbits(160):040x}"

    def _change(self, enrollment_id: int, **columns: Any) -> None:
        stamp = self._commit()
        enrollment = replace(self.enrollments[enrollment_id], **columns, updated_at=stamp)
        self.enrollments.commit(enrollment_id, enrollment, self._now)
        self._announce_enrollment("enrollment_updated", enrollment, stamp, None)
        self._recompute(enrollment, stamp, None)

    def _recompute(self, enrollment: Enrollment, stamp: datetime, job_tag: str | None) -> None:
        old = self.enrollment_states[enrollment.id]
        new = self._computed_state(enrollment, stamp)
        if replace(new, updated_at=old.updated_at) != old:
            self.enrollment_states.commit(enrollment.id, new, self._now)
            self._announce_state("enrollment_state_updated", new, stamp, job_tag)

    def _computed_state(self, enrollment: Enrollment, stamp: datetime) -> EnrollmentState:
        """The state of an enrollment by its course's dates. Source: canvas-lms, `EnrollmentState#calculate_state`."""
        course, state = self.courses[enrollment.course_id], enrollment.workflow_state
        start, end = course.start_at, course.conclude_at
        restricted = False
        if state not in {"active", "invited"} or enrollment.type == "StudentViewEnrollment":
            start = end = None
        elif start is not None and self._now < start:
            state, start, end = f"pending_{state}", None, start
            restricted = course.restrict_student_future_view
        elif end is not None and self._now >= end:
            state, start, end = "completed", end, None
        return EnrollmentState(
            enrollment_id=enrollment.id,
            state=state,
            state_started_at=start,
            state_valid_until=end,
            restricted_access=restricted,
            updated_at=stamp,
        )

    def _delete_in_bulk(self, enrollment_ids: Collection[int]) -> datetime:
        stamp = self._commit()
        ids = [each for each in enrollment_ids if self.enrollments[each].workflow_state != "deleted"]
        self._update_all(ids, workflow_state="deleted", updated_at=stamp)
        self._update_states(ids, state="deleted", state_valid_until=None, updated_at=stamp)
        return stamp

    def _end_user(self, user_id: int, stamp: datetime, **columns: Any) -> None:
        user = replace(self.users[user_id], workflow_state="deleted", deleted_at=stamp, updated_at=stamp, **columns)
        self.users.commit(user_id, user, self._now)

    def _end_course(self, course_id: int, workflow_state: str, stamp: datetime) -> None:
        course = replace(self.courses[course_id], workflow_state=workflow_state, updated_at=stamp)
        self.courses.commit(course_id, course, self._now)

    def _update_all(self, enrollment_ids: Iterable[int], **columns: Any) -> None:
        for each in enrollment_ids:
            self.enrollments.commit(each, replace(self.enrollments[each], **columns), self._now)

    def _update_states(self, enrollment_ids: Iterable[int], **columns: Any) -> None:
        for each in enrollment_ids:
            self.enrollment_states.commit(each, replace(self.enrollment_states[each], **columns), self._now)

    def _update_imports(self, import_ids: Iterable[int], **columns: Any) -> None:
        for each in import_ids:
            self.sis_imports.commit(each, replace(self.sis_imports[each], **columns), self._now)

    def _change_import(self, import_id: int, workflow_state: str, **columns: Any) -> None:
        stamp = self._commit()
        self._update_imports([import_id], workflow_state=workflow_state, updated_at=stamp, **columns)
        body = sis_batch_body(self.sis_imports[import_id], self.account_id)
        self._announce("sis_batch_updated", body, stamp, "SisBatch.process_all_for_account")

    def _announce_enrollment(self, name: str, row: Enrollment, stamp: datetime, job_tag: str | None) -> None:
        course = self.courses[row.course_id] if self.sends_uuids else None
        self._announce(name, enrollment_body(row, self.users[row.user_id], course, shard=self.shard), stamp, job_tag)

    def _announce_state(self, name: str, row: EnrollmentState, stamp: datetime, job_tag: str | None) -> None:
        self._announce(name, enrollment_state_body(row, shard=self.shard), stamp, job_tag)

    def _announce(self, name: str, body: Event, stamp: datetime, job_tag: str | None) -> None:
        """Send an event some milliseconds after its commit. Null and missing mean the same, and both occur."""
        event_time = stamp + timedelta(milliseconds=self._random.randint(2, 12))
        number = len(self.announcements) + 1
        head = metadata(name, event_time, root_account_id=self.root_account_id, number=number, job_tag=job_tag)
        if self._random.random() < 0.5:  # noqa: PLR2004
            body = {key: value for key, value in body.items() if value is not None}
        self.announcements.append(Announcement({"metadata": head, "body": body}, self._now))
