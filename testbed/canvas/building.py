"""Builds a school of some thousand enrollments, all changed more than two weeks ago."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from random import Random

from testbed.canvas.school import School

_NAMES = tuple(
    f"{first} {last}"
    for last in ("Lovelace", "Noether", "Gödel", "Turing", "Ångström", "O'Neil", "de la Cruz", "Nguyễn", "王")
    for first in ("Ada", "Emmy", "Kurt", "Alan", "Søren", "Zoë", "María José", "Anh", "Wei", "Blaise", "Sofya")
)
_OTHER_SHARD = 2108
_HOW_OFTEN = (60, 8, 14, 4, 4, 10)
_BEGINNING, _END_OF_ENROLLING, _END_OF_CHANGES = timedelta(days=120), timedelta(days=60), timedelta(days=16)
_TERM = timedelta(days=20)
_IN_USE = timedelta(days=3)
_IMPORTS = 24


def school_of(enrollments: int = 5_000, *, seed: int = 7, now: datetime | None = None) -> School:
    """Build a school with enrollments of every role and state, deterministic for the same `seed` and `now`.

    Its clock is at `now`: by default a day before the real time, so that one more day can be simulated. Users were
    enrolled 120 to 60 days before `now`, and enrollments changed until 16 days and files imported until 15 days before.
    Users were active, which sends no events, until five minutes before. `announcements` has all events.
    """
    now = now or datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    school = School(now - _BEGINNING, seed=seed)
    random = Random(seed)
    _enroll_users(school, random, enrollments, until=now - _END_OF_ENROLLING)
    _age_states(school, random)
    _change_enrollments(school, random, until=now - _END_OF_CHANGES)
    for number in range(_IMPORTS):
        school.now = now - _END_OF_CHANGES + timedelta(hours=1 + number)
        _import_file(school, random)
    use_school(school, random, since=now - _IN_USE, until=now - timedelta(minutes=5))
    school.now = now
    return school


def use_school(school: School, random: Random, *, since: datetime, until: datetime) -> None:
    """Use a tenth of the active enrollments, at least one, at even intervals from `since` to `until`."""
    active = [enrollment.id for enrollment in school.enrollments.rows() if enrollment.workflow_state == "active"]
    used = random.sample(active, k=min(len(active), len(active) // 10 + 1))
    for number, enrollment_id in enumerate(used, start=1):
        school.now = max(school.now, since + (until - since) * number / len(used))
        school.use([enrollment_id])


def _enroll_users(school: School, random: Random, count: int, *, until: datetime) -> None:
    beginning, names = school.now, cycle(_NAMES)
    users = [
        school.add_user(next(names), shard=_OTHER_SHARD if number % 97 == 0 else None)
        for number in range(1, max(20, count // 4) + 1)
    ]
    sections: list[int] = []
    students: list[int] = []
    for number in range(count):
        school.now = max(school.now, beginning + (until - beginning) * number / count)
        place = number % 25
        if place == 0:
            sections, students = _add_course(school, random), random.sample(users, k=20)
        section = random.choice(sections)
        match place:
            case 0 | 1:
                role = "TeacherEnrollment" if place == 0 else "TaEnrollment"
                school.enroll(random.choice(users), section, role=role, limited=place == 1)
            case 2 if random.random() < 0.2:
                school.enroll_test_student(section)
            case 3 | 4:
                observed = random.choice([*students, None])
                school.enroll(
                    random.choice(users), section, role="ObserverEnrollment", associated_user_id=observed, limited=False
                )
            case _:
                state = random.choices(("active", "invited", "creation_pending"), weights=(70, 28, 2))[0]
                by_import = random.choice((None, 9_440_000))
                school.enroll(students[place % 20], section, workflow_state=state, import_id=by_import)


def _add_course(school: School, random: Random) -> list[int]:
    """Add a course with 1 to 3 sections, and return these. One course in three has no dates."""
    start, end = random.choice(((None, None), (None, None), (-1, 10), (-1, None), (9, 11), (-3, -1)))
    course_id = school.add_course(
        f"Course {len(school.courses.history) + 1}",
        start_at=None if start is None else school.now + start * _TERM,
        conclude_at=None if end is None else school.now + end * _TERM,
    )
    return [school.add_section(course_id) for _ in range(random.randint(1, 3))]


def _age_states(school: School, random: Random) -> None:
    """Remove the stamp of one state in twenty: Canvas has stamped states since 2019."""
    states = list(school.enrollment_states.rows())
    for state in random.sample(states, k=len(states) // 20):
        school.enrollment_states.commit(state.enrollment_id, replace(state, updated_at=None), school.now)


def _change_enrollments(school: School, random: Random, *, until: datetime) -> None:
    beginning = school.now
    enrollments = list(school.enrollments.rows())
    random.shuffle(enrollments)
    sections: dict[int, list[int]] = {}
    for section in school.sections.rows():
        sections.setdefault(section.course_id, []).append(section.id)
    for number, enrollment in enumerate(enrollments):
        school.now = max(school.now, beginning + (until - beginning) * number / len(enrollments))
        happens = random.choices(("nothing", "section", "conclude", "pause", "stop", "delete"), _HOW_OFTEN)[0]
        if happens == "nothing" and enrollment.workflow_state == "invited":
            random.choice((school.accept, school.accept, school.reject))(enrollment.id)
        elif happens == "section":
            school.change_section(enrollment.id, random.choice(sections[enrollment.course_id]))
        elif happens == "conclude":
            school.conclude(enrollment.id)
        elif happens == "delete":
            school.delete(enrollment.id)
        elif happens in {"pause", "stop"}:
            school.deactivate(enrollment.id)
            if happens == "pause":
                school.reactivate(enrollment.id)


def _import_file(school: School, random: Random) -> None:
    import_id = school.create_import()
    school.now += timedelta(minutes=2)
    school.start_import(import_id)
    school.now += timedelta(minutes=random.randint(5, 50))
    school.finish_import(import_id, random.choice(("imported", "imported", "imported_with_messages", "failed")))
