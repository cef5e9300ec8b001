"""The model of a school announces, stamps and keeps silent as Canvas does."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from functions.canvas.sis_batch import LIFE_CYCLE
from testbed.canvas.building import school_of
from testbed.canvas.school import School
from testbed.events import event_batch
from testbed.events import example as documented
from testbed.models import parsed

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Place:
    """A school with two courses, and a student with an active enrollment in the first."""

    school: School

    def __post_init__(self):
        school = self.school
        self.course, self.other_course = school.add_course("Algebra"), school.add_course("Analysis")
        self.section, self.second_section = school.add_section(self.course), school.add_section(self.course)
        self.student, self.other_student = school.add_user("Ada Lovelace"), school.add_user("Kurt Gödel")
        self.enrollment = school.enroll(self.student, self.section)
        school.take_events()

    @property
    def row(self):
        return self.school.enrollments[self.enrollment]

    @property
    def state(self):
        return self.school.enrollment_states[self.enrollment]


@pytest.fixture
def place():
    return Place(School(NOW))


def names(events):
    return [event["metadata"]["event_name"] for event in events]


BOTH = ["enrollment_updated", "enrollment_state_updated"]
ANNOUNCED = {
    "conclude": (lambda p: p.school.conclude(p.enrollment), BOTH, "completed"),
    "deactivate": (lambda p: p.school.deactivate(p.enrollment), BOTH, "inactive"),
    "reject": (lambda p: p.school.reject(p.enrollment), BOTH, "rejected"),
    "delete by hand": (lambda p: p.school.delete(p.enrollment), BOTH, "deleted"),
    "change section": (lambda p: p.school.change_section(p.enrollment, p.second_section), BOTH[:1], "active"),
    "limit to section": (lambda p: p.school.limit_to_section(p.enrollment, limited=True), BOTH[:1], "active"),
}


@pytest.mark.parametrize("operation", ANNOUNCED)
def test_what_a_person_changes_is_announced_and_stamped(place, operation):
    # GIVEN an active enrollment
    before, (operate, announced, state) = place.row, ANNOUNCED[operation]

    # WHEN a person changes it
    operate(place)

    # THEN the row is stamped, its state follows, and events say so
    assert place.row.updated_at > before.updated_at
    assert place.state.state == state
    events = place.school.take_events()
    assert names(events) == announced
    assert events[0]["body"]["workflow_state"] == place.row.workflow_state


SILENT = {
    # operation: what it does, whether it stamps the enrollment, and its state
    "use": (lambda p: p.school.use([p.enrollment]), False, False),
    "SIS deletion": (lambda p: p.school.sis_delete([p.enrollment]), True, True),
    "section deleted": (lambda p: p.school.delete_section(p.section), True, True),
    "courses deleted in a batch": (lambda p: p.school.delete_courses([p.course]), True, True),
    "user deleted": (lambda p: p.school.delete_user(p.student), True, True),
    "one course deleted": (lambda p: p.school.delete_course(p.course), False, True),
    "course concluded": (lambda p: p.school.conclude_course(p.course), False, True),
    "cross-listed": (lambda p: p.school.cross_list(p.section, p.other_course), False, False),
    "moved by a merge": (lambda p: p.school.merge_users(p.student, p.other_student), True, False),
}


@pytest.mark.parametrize("operation", SILENT)
def test_what_canvas_changes_in_bulk_is_silent(place, operation):
    # GIVEN an active enrollment
    row, state, (operate, stamps_row, stamps_state) = place.row, place.state, SILENT[operation]

    # WHEN Canvas changes it in bulk
    operate(place)

    # THEN the row is another, is stamped or not, and no event says so
    assert place.row != row
    assert (place.row.updated_at > row.updated_at) == stamps_row
    assert (place.state.updated_at > state.updated_at) == stamps_state
    assert place.school.take_events() == []


def test_a_merge_deletes_enrollments_in_conflict_without_a_stamp(place):
    # GIVEN two users in one section
    place.school.enroll(place.other_student, place.section)
    place.school.take_events()
    before = place.row

    # WHEN they are merged
    place.school.merge_users(place.student, place.other_student)

    # THEN one enrollment is deleted, not moved and not stamped
    assert (place.row.workflow_state, place.row.user_id) == ("deleted", place.student)
    assert place.row.updated_at == before.updated_at
    assert place.school.users[place.student].merged_into_user_id == place.other_student
    assert place.school.take_events() == []


def test_a_rename_is_no_event_and_shows_in_the_next(place):
    place.school.rename_user(place.student, "Ada King")
    assert place.school.take_events() == []
    place.school.deactivate(place.enrollment)
    assert place.school.take_events()[0]["body"]["user_name"] == "Ada King"


def test_ids_in_bodies_are_global_also_those_of_users_of_another_shard(place):
    # GIVEN a user of another shard, whom an observer of ours observes
    stranger = place.school.add_user("Emmy Noether", shard=2108)
    place.school.enroll(place.student, place.section, role="ObserverEnrollment", associated_user_id=stranger)

    # THEN all ids in the event are global
    body = place.school.take_events()[0]["body"]
    assert body["associated_user_id"] == str(stranger)
    assert body["associated_user_id"].startswith("2108000000")
    assert all(body[f"{key}_id"].startswith("2107000000") for key in ("enrollment", "course", "course_section", "user"))
    assert place.school.row_id(body["user_id"]) == place.student


def test_only_observers_have_an_associated_user(place):
    place.school.enroll_test_student(place.section)
    created = place.school.take_events()[0]["body"]
    assert created["type"] == "StudentViewEnrollment"
    assert "associated_user_id" not in created


def test_a_course_s_dates_decide_the_state_and_a_job_announces_that_they_passed(place):
    # GIVEN an enrollment in a course that begins tomorrow
    school = place.school
    tomorrow = school.now + timedelta(days=1)
    school.change_dates(place.course, start_at=tomorrow, conclude_at=None)
    assert school.take_events() == []
    school.recompute_states()
    assert (place.state.state, place.state.state_valid_until) == ("pending_active", tomorrow)
    school.take_events()

    # WHEN it begins
    school.now = tomorrow
    school.recompute_states()

    # THEN a job announces the state, and only that
    (event,) = school.take_events()
    assert event["metadata"]["event_name"] == "enrollment_state_updated"
    assert "job_id" in event["metadata"]
    assert event["body"]["state"] == "active"


def test_an_import_announces_its_states_except_cleanup_and_abort(place):
    # WHEN one import is imported and restored
    school = place.school
    done = school.create_import()
    school.start_import(done)
    school.clean_up_import(done)
    school.finish_import(done)
    school.start_restore(done)
    school.finish_restore(done)

    # THEN all but its cleanup is announced, in the order of the life cycle, with local ids
    bodies = [event["body"] for event in school.take_events()]
    states = [body["workflow_state"] for body in bodies]
    assert states == ["initializing", "created", "importing", "imported", "restoring", "restored"]
    assert states == sorted(states, key=LIFE_CYCLE.index)
    assert bodies[0] == {"sis_batch_id": str(done), "account_id": "1", "workflow_state": "initializing"}


@pytest.mark.parametrize("stamps", [True, False])
def test_one_abort_stamps_an_import_and_the_abort_of_all_does_not(place, stamps):
    school = place.school
    aborted, finished = school.create_import(), school.create_import()
    school.finish_import(finished)
    before = school.sis_imports[aborted]
    school.take_events()

    if stamps:
        school.abort_import(aborted)
    else:
        school.abort_all_pending()

    assert school.sis_imports[aborted].workflow_state == "aborted"
    assert (school.sis_imports[aborted].updated_at > before.updated_at) == stamps
    assert school.sis_imports[finished].workflow_state == "imported"
    assert school.take_events() == []


def test_the_history_tells_what_a_row_was_at_any_time(place):
    # GIVEN a row that is changed, then removed
    school = place.school
    committed = school.now
    school.delete_course(place.course)
    deleted = school.now
    school.hard_delete([place.enrollment])

    # THEN every version is kept
    def at(moment):
        return school.enrollments.version_at(place.enrollment, moment)

    assert at(NOW) is None
    assert at(committed).row.workflow_state == "active"
    assert at(deleted).row.workflow_state == "deleted"
    assert at(school.now).row is None
    assert place.enrollment not in school.enrollments
    with pytest.raises(KeyError):
        school.enrollments[place.enrollment]


def test_a_server_s_clock_stamps_rows_and_events_but_not_commits(place):
    place.school.skew = timedelta(seconds=-3)
    place.school.deactivate(place.enrollment)
    version = place.school.enrollments.history[place.enrollment][-1]
    assert version.committed_at - version.row.updated_at == timedelta(seconds=3)
    assert place.school.announcements[-1].committed_at == version.committed_at
    assert place.school.take_events()[0]["metadata"]["event_time"] < version.committed_at.isoformat()


def test_a_clock_does_not_go_back(place):
    with pytest.raises(ValueError, match="cannot be set back"):
        place.school.now = NOW - timedelta(days=1)


def test_every_event_is_one_that_our_functions_read_with_the_keys_of_the_documented_one():
    # GIVEN every event of a school of all roles and states
    school = school_of(600, now=NOW)
    seen = set()
    for event in school.take_events():
        name = event["metadata"]["event_name"]
        seen.add(name)

        # THEN it is accepted, and has no key that Canvas does not send
        parsed(name, event)
        assert event["body"].keys() <= documented(name)["body"].keys() | {"course_uuid", "user_uuid"}
        assert datetime.fromisoformat(event["metadata"]["event_time"]).microsecond % 1000 == 0
    assert seen == {
        "enrollment_created",
        "enrollment_updated",
        "enrollment_state_created",
        "enrollment_state_updated",
    } | {
        "sis_batch_created",
        "sis_batch_updated",
    }
    assert event_batch(event, event_name=name)


def test_events_follow_their_commits_within_milliseconds_and_nulls_are_omitted_or_not():
    announcements = school_of(200, now=NOW).announcements
    times = [datetime.fromisoformat(a.event["metadata"]["event_time"]) for a in announcements]
    assert all(
        timedelta(0) < time - a.committed_at < timedelta(milliseconds=20)
        for time, a in zip(times, announcements, strict=True)
    )
    bodies = [a.event["body"] for a in announcements if a.event["metadata"]["event_name"] == "enrollment_created"]
    assert {"limit_privileges_to_course_section" in body for body in bodies} == {True, False}
    assert any(body.get("limit_privileges_to_course_section", "omitted") is None for body in bodies)


def test_a_school_lives_in_the_past_and_is_used_until_now():
    # WHEN a school is built
    school = school_of(500, now=NOW)

    # THEN its events are older than two weeks, and its rows are not
    newest = max(a.event["metadata"]["event_time"] for a in school.announcements)
    assert datetime.fromisoformat(newest) < NOW - timedelta(days=14)
    assert max(e.last_activity_at for e in school.enrollments.rows() if e.last_activity_at) > NOW - timedelta(hours=1)
    assert school.now == NOW
    assert len(list(school.enrollments.rows())) == 500
    assert len({e.workflow_state for e in school.enrollments.rows()}) >= 6
    assert {e.type for e in school.enrollments.rows()} >= {"StudentViewEnrollment", "ObserverEnrollment"}
    assert any(state.updated_at is None for state in school.enrollment_states.rows())


def test_the_same_seed_and_time_make_the_same_school():
    one, same, other = (school_of(100, seed=seed, now=NOW).take_events() for seed in (1, 1, 2))
    assert json.dumps(one) == json.dumps(same) != json.dumps(other)
