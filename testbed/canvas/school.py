"""Model of a school in Canvas, from which live events, Canvas Data 2 and REST answers are derived.

Each operation sends live events or none, and stamps `updated_at` or not, exactly as Canvas does. Where that is not
obvious, its docstring names the source in canvas-lms.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from functions.canvas.ids import global_id
from functions.canvas.sis_batch import UNFINISHED
from testbed.canvas.database import Database
from testbed.canvas.live_events import sis_batch_body
from testbed.canvas.rows import Course, Enrollment, EnrollmentState, Section, SisImport, User

ROLE_IDS = {
    "StudentEnrollment": 3,
    "TeacherEnrollment": 4,
    "TaEnrollment": 5,
    "DesignerEnrollment": 6,
    "ObserverEnrollment": 7,
    "StudentViewEnrollment": 8,
}
"""Id of the built-in role of each enrollment type."""

_SIS_JOB = "SIS::CSV::ImportRefactored#run_parallel_importer"
_STATE_JOB = "EnrollmentState.process_states_in_ranges"


class School(Database):
    """A root account with the operations of its users, administrators and jobs. Each is one commit.

    Arguments are row ids. No documented example event has any of them.
    """

    # Users and courses: their events are not subscribed to.

    def add_user(self, name: str, *, shard: int | None = None) -> int:
        """Add a user, or the shadow of a user of another shard, whose row id is global."""
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
        """Rename a user. Stamps the user, and changes no enrollment."""
        stamp = self._commit()
        self.users.commit(user_id, replace(self.users[user_id], name=name, updated_at=stamp), self._now)

    def add_course(self, name: str, *, start_at: datetime | None = None, conclude_at: datetime | None = None) -> int:
        """Add a course. Its enrollments are pending before `start_at`, and completed after `conclude_at`."""
        stamp = self._commit()
        course = Course(
            id=len(self.courses.history) + 90_501,
            name=name,
            uuid=self._uuid(),
            start_at=start_at,
            conclude_at=conclude_at,
            restrict_student_future_view=self._random.random() < 0.3,
            created_at=stamp,
            updated_at=stamp,
        )
        self.courses.commit(course.id, course, self._now)
        return course.id

    def add_section(self, course_id: int) -> int:
        """Add a section to a course."""
        stamp = self._commit()
        number = len(self.sections.history) + 904_801
        section = Section(id=number, course_id=course_id, name=f"Section {number}", created_at=stamp, updated_at=stamp)
        self.sections.commit(number, section, self._now)
        return number

    # Operations that send events. Each stamps `updated_at` of the changed rows.

    def enroll(
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
        """Enroll a user: `enrollment_created` and `enrollment_state_created`, sent by a job where an import does it."""
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
        """Enroll the test student of the student view: a `StudentViewEnrollment`, with the usual events."""
        return self.enroll(self.add_user("Test Student"), section_id, role="StudentViewEnrollment")

    def accept(self, enrollment_id: int) -> None:
        """Accept an invitation."""
        self._change(enrollment_id, workflow_state="active")

    def reject(self, enrollment_id: int) -> None:
        """Decline an invitation."""
        self._change(enrollment_id, workflow_state="rejected")

    def change_section(self, enrollment_id: int, section_id: int) -> None:
        """Move an enrollment to a section of the same course."""
        self._change(enrollment_id, course_section_id=section_id)

    def assign_observed(self, enrollment_id: int, user_id: int | None) -> None:
        """Set the user that an observer observes."""
        self._change(enrollment_id, associated_user_id=user_id)

    def limit_to_section(self, enrollment_id: int, *, limited: bool) -> None:
        """Limit a user to their own section, or lift the limit."""
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
        """Delete one enrollment in the user interface."""
        self._change(enrollment_id, workflow_state="deleted")

    def recompute_states(self) -> None:
        """Recompute states whose date has passed or whose cache is invalid, in a job that sends events of changes.

        Source: canvas-lms, `EnrollmentState.process_states_in_ranges`.
        """
        stamp = self._commit()
        for old in list(self.enrollment_states.rows()):
            passed = old.state_valid_until is not None and old.state_valid_until <= self._now
            if passed or not (old.state_is_current and old.access_is_current):
                self._recompute(self.enrollments[old.enrollment_id], stamp, _STATE_JOB)

    # Silent operations: no event is sent.

    def use(self, enrollment_ids: Iterable[int]) -> None:
        """Set `last_activity_at` of active users; not stamped. Source: `Enrollment::RecentActivity`, `update_all`."""
        stamp = self._commit()
        self._update_all(enrollment_ids, last_activity_at=stamp)

    def sis_delete(self, enrollment_ids: Collection[int]) -> None:
        """Delete by SIS import; stamped. Source: `Enrollment::BatchStateUpdater.mark_enrollments_as_state`."""
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
        """Delete a user and all enrollments of the user; stamped."""
        stamp = self._delete_in_bulk([e.id for e in self.enrollments.rows() if e.user_id == user_id])
        self._end_user(user_id, stamp)

    def delete_course(self, course_id: int) -> None:
        """Delete one course. Its enrollments are **not** stamped; their states are.

        Source: `Course#update_enrolled_users`, `update_all(workflow_state: "deleted")`.
        """
        stamp = self._commit()
        ids = [e.id for e in self.enrollments_of(course_id) if e.workflow_state != "deleted"]
        self._update_all(ids, workflow_state="deleted")
        self._update_states(ids, state="deleted", state_is_current=True, updated_at=stamp)
        self._end_course(course_id, "deleted", stamp)

    def conclude_course(self, course_id: int) -> None:
        """Conclude a course. Active and invited enrollments are completed and **not** stamped; their states are.

        Source: `Course#update_enrolled_users`, `update_all(workflow_state: "completed", completed_at: …)`.
        """
        stamp = self._commit()
        ids = [e.id for e in self.enrollments_of(course_id) if e.workflow_state in {"active", "invited"}]
        self._update_all(ids, workflow_state="completed", completed_at=stamp)
        self._update_states(ids, state="completed", state_is_current=True, access_is_current=False, updated_at=stamp)
        self._end_course(course_id, "completed", stamp)

    def cross_list(self, section_id: int, course_id: int) -> None:
        """Move a section to another course. Sets `course_id` of all its enrollments, which are **not** stamped.

        The cached states become invalid and are not stamped either. Source: `CourseSection#move_to_course`.
        """
        stamp = self._commit()
        section = self.sections[section_id]
        ids = [e.id for e in self.enrollments.rows() if e.course_section_id == section_id]
        self._update_all(ids, course_id=course_id)
        self._update_states(ids, state_is_current=False, access_is_current=False)
        moved = replace(section, course_id=course_id, nonxlist_course_id=section.course_id, updated_at=stamp)
        self.sections.commit(section_id, moved, self._now)

    def change_dates(self, course_id: int, *, start_at: datetime | None, conclude_at: datetime | None) -> None:
        """Change the dates of a course. The cached states become invalid, not stamped, until `recompute_states`."""
        stamp = self._commit()
        course = replace(self.courses[course_id], start_at=start_at, conclude_at=conclude_at, updated_at=stamp)
        self.courses.commit(course_id, course, self._now)
        self._update_states([e.id for e in self.enrollments_of(course_id)], state_is_current=False)

    def merge_users(self, from_id: int, into_id: int) -> None:
        """Merge one user into another. Moved enrollments are stamped; those deleted as duplicates are **not**.

        Source: canvas-lms, `UserMerge`.
        """
        stamp = self._commit()
        moved = [e for e in self.enrollments.rows() if e.user_id == from_id]
        kept = {(e.course_section_id, e.type) for e in self.enrollments.rows() if e.user_id == into_id}
        conflicts = [e.id for e in moved if (e.course_section_id, e.type) in kept and e.workflow_state != "deleted"]
        self._update_all(conflicts, workflow_state="deleted")
        self._update_states(conflicts, state="deleted", state_valid_until=None, updated_at=stamp)
        self._update_all([e.id for e in moved if e.id not in conflicts], user_id=into_id, updated_at=stamp)
        observed = [e.id for e in self.enrollments.rows() if e.associated_user_id == from_id]
        self._update_all(observed, associated_user_id=into_id, updated_at=stamp)
        deleted = replace(
            self.users[from_id],
            workflow_state="deleted",
            merged_into_user_id=into_id,
            deleted_at=stamp,
            updated_at=stamp,
        )
        self.users.commit(from_id, deleted, self._now)

    def hard_delete(self, enrollment_ids: Iterable[int]) -> None:
        """Remove enrollments from the database."""
        self._commit()
        for enrollment_id in enrollment_ids:
            self.enrollments.commit(enrollment_id, None, self._now)
            self.enrollment_states.commit(enrollment_id, None, self._now)

    # SIS imports.

    def create_import(self) -> int:
        """Create an import: `sis_batch_created` (initializing), then `sis_batch_updated` (created)."""
        stamp = self._commit()
        number = len(self.sis_imports.history) + 9_440_001
        created = SisImport(id=number, workflow_state="initializing", created_at=stamp, updated_at=stamp)
        self.sis_imports.commit(number, created, self._now)
        self._announce("sis_batch_created", sis_batch_body(created, self.account_id), stamp, None)
        self._change_import(number, "created")
        return number

    def start_import(self, import_id: int) -> None:
        """Start an import: `importing`."""
        self._change_import(import_id, "importing", started_at=self._now + self.skew)

    def finish_import(self, import_id: int, workflow_state: str = "imported") -> None:
        """Finish an import: `imported` or `failed`, with or without `_with_messages`."""
        self._change_import(import_id, workflow_state, ended_at=self._now + self.skew, progress=100)

    def start_restore(self, import_id: int) -> None:
        """Start to restore the states from before an import: `restoring`."""
        self._change_import(import_id, "restoring", progress=0)

    def finish_restore(self, import_id: int, workflow_state: str = "restored") -> None:
        """Finish a restore: `restored` or `partially_restored`. Stamps `updated_at` and keeps `ended_at`."""
        self._change_import(import_id, workflow_state, progress=100)

    def clean_up_import(self, import_id: int) -> None:
        """Begin the cleanup of an import in batch mode: `cleanup_batch`, silent and **not** stamped."""
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
        """Remove an import from the database."""
        self._commit()
        self.sis_imports.commit(import_id, None, self._now)

    # Commits with their events.

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
        """Compute the state from the course dates. Source: canvas-lms, `EnrollmentState#calculate_state`."""
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

    def _change_import(self, import_id: int, workflow_state: str, **columns: Any) -> None:
        stamp = self._commit()
        self._update_imports([import_id], workflow_state=workflow_state, updated_at=stamp, **columns)
        body = sis_batch_body(self.sis_imports[import_id], self.account_id)
        self._announce("sis_batch_updated", body, stamp, "SisBatch.process_all_for_account")
