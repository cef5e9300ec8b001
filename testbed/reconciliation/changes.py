"""Applies the operations of a history to a school, and skips those that are impossible in its present state.

The first user, course, section and enrollment of the school are reserved for background activity.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

from functions.canvas.sis_batch import UNFINISHED
from testbed.canvas.rows import Enrollment, SisImport
from testbed.canvas.school import School
from testbed.reconciliation.operations import Happens

ChosenT = TypeVar("ChosenT")

_MOST_ENROLLMENTS = 4
_NAMES = ("Ada Lovelace", "Emmy Noether", "Kurt Gödel")
_DATES = ((None, None), (-1, None), (1, None), (None, 1), (-2, -1), (-1, 3), (1, 3))


def apply(school: School, happens: Happens) -> None:
    """Apply an operation, stamped by a server whose clock is ahead by its skew."""
    school.skew = happens.skew
    enrollments = list(school.enrollments.rows())[1:]
    imports = list(school.sis_imports.rows())
    if enrollments:
        _change(school, happens, chosen(enrollments, happens.which))
        _change_silently(school, happens, chosen(enrollments, happens.which))
    _change_import(school, happens, imports)
    school.skew = timedelta(0)


def chosen(candidates: Sequence[ChosenT], number: int) -> ChosenT:
    """Choose one of `candidates` by any number."""
    return candidates[number % len(candidates)]


def _users(school: School) -> list[int]:
    return [user.id for user in school.users.rows() if user.workflow_state != "deleted"][1:]


def _change(school: School, happens: Happens, enrollment: Enrollment) -> None:  # noqa: C901
    """Apply an operation on enrollments that emits events."""
    other, users = happens.other, _users(school)
    sections = [section.id for section in school.sections.rows()][1:]
    match happens.what:
        case "accept" if enrollment.workflow_state == "invited":
            school.accept(enrollment.id)
        case "reject" if enrollment.workflow_state == "invited":
            school.reject(enrollment.id)
        case "change section":
            mine = [section.id for section in school.sections.rows() if section.course_id == enrollment.course_id]
            school.change_section(enrollment.id, chosen(mine or sections, other))
        case "assign observed" if enrollment.type == "ObserverEnrollment":
            school.assign_observed(enrollment.id, chosen([*users, None], other))
        case "limit to section":
            school.limit_to_section(enrollment.id, limited=other % 2 == 0)
        case "conclude":
            school.conclude(enrollment.id)
        case "deactivate":
            school.deactivate(enrollment.id)
        case "reactivate":
            school.reactivate(enrollment.id)
        case "delete":
            school.delete(enrollment.id)
        case "enroll" if users and len(school.enrollments.history) < _MOST_ENROLLMENTS:
            state = chosen(("active", "invited", "creation_pending"), other)
            school.enroll(chosen(users, happens.which), chosen(sections, other), workflow_state=state)
        case "recompute states":
            school.recompute_states()


def _change_silently(school: School, happens: Happens, enrollment: Enrollment) -> None:  # noqa: C901
    """Apply an operation on enrollments that emits no event."""
    other, users = happens.other, _users(school)
    match happens.what:
        case "use":
            school.use([enrollment.id])
        case "rename user":
            school.rename_user(enrollment.user_id, chosen(_NAMES, other))
        case "delete by import":
            school.sis_delete([enrollment.id])
        case "delete section":
            school.delete_section(enrollment.course_section_id)
        case "delete courses":
            school.delete_courses([enrollment.course_id])
        case "delete user" if enrollment.user_id in users:
            school.delete_user(enrollment.user_id)
        case "delete course":
            school.delete_course(enrollment.course_id)
        case "conclude course":
            school.conclude_course(enrollment.course_id)
        case "cross-list":
            courses = [course.id for course in school.courses.rows()][1:]
            school.cross_list(enrollment.course_section_id, chosen(courses, other))
        case "change dates":
            start, end = chosen(_DATES, other)
            school.change_dates(
                enrollment.course_id,
                start_at=None if start is None else school.now + timedelta(days=start),
                conclude_at=None if end is None else school.now + timedelta(days=end),
            )
        case "merge users" if enrollment.user_id in users and (rest := [u for u in users if u != enrollment.user_id]):
            school.merge_users(enrollment.user_id, chosen(rest, other))
        case "hard-delete":
            school.hard_delete([enrollment.id])


def _change_import(school: School, happens: Happens, imports: Sequence[SisImport]) -> None:  # noqa: C901
    """Apply an operation on SIS imports."""
    if happens.what == "create import":
        school.create_import()
    if not imports:
        return
    one = chosen(imports, happens.which)
    unfinished = one.workflow_state in UNFINISHED
    match happens.what:
        case "start import" if one.workflow_state == "created":
            school.start_import(one.id)
        case "finish import" if one.workflow_state in {"importing", "cleanup_batch"}:
            school.finish_import(one.id, chosen(("imported", "failed", "imported_with_messages"), happens.other))
        case "start restore" if not unfinished:
            school.start_restore(one.id)
        case "finish restore" if one.workflow_state == "restoring":
            school.finish_restore(one.id, chosen(("restored", "partially_restored"), happens.other))
        case "clean up import" if one.workflow_state == "importing":
            school.clean_up_import(one.id)
        case "abort import" if unfinished:
            school.abort_import(one.id)
        case "abort all imports":
            school.abort_all_pending()
        case "purge import" if not unfinished:
            school.purge_import(one.id)
