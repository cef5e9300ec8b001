"""The verdict on a row that differs, and the correction that follows."""

from dataclasses import replace

import pytest

from functions.canvas.enrollment import EnrollmentUpdated
from functions.canvas.enrollment_state import EnrollmentStateUpdated
from functions.canvas.event import parse_event
from functions.projection.change import AttributeValue
from reconciliation.comparison import Candidate
from reconciliation.correction import Correction
from reconciliation.judgement import Result, User, judge
from reconciliation.verdict import CORRECTED, Verdict

AT = "2026-11-20T12:00:00.000000Z"
RESULT = Result(
    at=AT,
    as_of="2026-11-20T02:00:00.000000Z",
    number=41,
    now="2026-11-20T15:00:00.000000Z",
    root_account_id="21070000000000001",
)
VERSION = "2026-11-20T02:00:00.000042Z"
BEFORE, AFTER = "2026-11-19T00:00:00.000000Z", "2026-11-20T03:00:00.000000Z"
ITEM: dict[str, AttributeValue | None] = {
    "event_time": BEFORE,
    "updated_at": "2026-11-10T00:00:00.000000Z",
    "user_id": "21070000000020064",
    "user_name": "Ada Lovelace",
    "user_uuid": "user-uuid",
    "course_id": "21070000000000565",
    "course_uuid": "course-uuid",
}
CANDIDATE = Candidate(
    table="enrollments",
    enrollment_id="21070000000046825",
    body={
        "course_id": "21070000000000565",
        "course_section_id": "21070000000004811",
        "user_id": "21070000000020064",
        "user_name": None,
        "type": "StudentEnrollment",
        "workflow_state": "deleted",
        "associated_user_id": None,
        "limit_privileges_to_course_section": False,
        "created_at": "2026-01-01T00:00:00.000000Z",
        "updated_at": "2026-11-10T00:00:00.000000Z",
        "course_uuid": None,
        "user_uuid": None,
    },
    updated_at="2026-11-10T00:00:00.000000Z",
    differs=True,
    item=ITEM,
)


def test_verdicts_have_the_names_of_reports_and_metrics():
    assert list(Verdict) == ["missing", "drifted", "same", "undecided", "behind", "unknown", "gone"]
    assert CORRECTED == ("missing", "drifted")


def with_item(**attributes):
    return replace(CANDIDATE, item=ITEM | attributes)


def correction_of(candidate, *, user=None) -> Correction:
    """The correction that follows from a row that is missing or has drifted."""
    correction = judge(candidate, RESULT, user=user).correction
    assert correction
    return correction


def test_a_missing_item_is_corrected():
    judgement = judge(replace(CANDIDATE, item=None), RESULT)

    assert judgement.verdict == Verdict.MISSING
    assert judgement.correction
    assert judgement.correction.event_time == VERSION
    assert "user_name" not in judgement.correction.body


def test_an_older_item_has_drifted_and_is_corrected():
    judgement = judge(CANDIDATE, RESULT)

    assert judgement.verdict == Verdict.DRIFTED
    assert judgement.correction
    assert judgement.correction.event_name == "enrollment_updated"
    assert judgement.correction.event_time == VERSION
    assert judgement.correction.body["workflow_state"] == "deleted"
    assert judgement.drift_seconds == 36 * 3600
    assert not judgement.contradicts


def test_drift_is_at_most_as_old_as_the_stamp_of_the_change():
    stamped = replace(CANDIDATE, updated_at="2026-11-20T00:00:00.000000Z")

    assert judge(stamped, RESULT).drift_seconds == 12 * 3600


def test_drift_of_a_row_without_stamp_began_after_the_event_of_the_item():
    assert judge(replace(CANDIDATE, updated_at=None), RESULT).drift_seconds == 36 * 3600


def test_drift_that_began_after_the_result_has_not_lasted():
    assert judge(replace(CANDIDATE, updated_at="2026-11-20T12:00:30.000000Z"), RESULT).drift_seconds == 0


@pytest.mark.parametrize("event_time", [VERSION, AFTER])
def test_a_newer_item_is_undecided(event_time):
    judgement = judge(with_item(event_time=event_time), RESULT)

    assert judgement.verdict == Verdict.UNDECIDED
    assert judgement.correction is None


def test_the_stamp_of_a_row_decides_where_it_is_newer_than_the_as_of_time():
    stamped = replace(with_item(event_time=AFTER), updated_at="2026-11-20T04:00:00.900000Z")

    judgement = judge(stamped, RESULT)

    assert judgement.verdict == Verdict.DRIFTED
    assert judgement.correction
    assert judgement.correction.event_time == "2026-11-20T03:59:55.000042Z"


def test_a_row_that_lacks_a_recent_announced_change_is_behind():
    behind = with_item(event_time=AFTER, updated_at="2026-11-20T02:59:59.000000Z")

    judgement = judge(behind, RESULT)

    assert judgement.verdict == Verdict.BEHIND
    assert judgement.correction is None
    assert not judgement.contradicts


def test_a_row_that_lacks_what_the_as_of_time_says_it_has_contradicts_it():
    behind = with_item(event_time=RESULT.as_of, updated_at="2026-11-20T01:59:59.000000Z")

    assert judge(behind, RESULT).verdict == Verdict.BEHIND
    assert judge(behind, RESULT).contradicts


def test_a_row_is_behind_a_recent_event_by_more_than_a_minute():
    # GIVEN an item whose event is just less than three days old, and whose stamp is just over a minute newer
    behind = with_item(event_time="2026-11-17T12:00:00.000001Z", updated_at="2026-11-10T00:01:00.000001Z")

    assert judge(behind, RESULT).verdict == Verdict.BEHIND


@pytest.mark.parametrize(
    ("updated_at", "event_time"),
    [
        ("2026-11-10T00:01:00.000000Z", BEFORE),  # a minute is not over a minute
        ("2026-11-15T00:00:00.000000Z", "2026-11-17T12:00:00.000000Z"),  # three days old
        (None, BEFORE),
    ],
)
def test_a_row_is_not_behind_an_old_event_or_by_a_minute(updated_at, event_time):
    assert judge(with_item(event_time=event_time, updated_at=updated_at), RESULT).verdict == Verdict.DRIFTED


def test_a_row_without_stamp_is_not_behind():
    assert judge(replace(with_item(event_time=AFTER), updated_at=None), RESULT).verdict == Verdict.UNDECIDED


def test_a_row_of_this_very_moment_is_not_from_the_future():
    assert judge(CANDIDATE, replace(RESULT, now=VERSION)).verdict == Verdict.DRIFTED


def test_a_row_from_the_future_is_unknown():
    ahead = replace(CANDIDATE, updated_at="2026-11-20T15:00:06.000000Z")

    assert judge(ahead, RESULT).verdict == Verdict.UNKNOWN
    assert judge(replace(ahead, item=None), RESULT).correction is None


def test_names_and_uuids_are_carried_over():
    body = correction_of(CANDIDATE).body

    assert (body["user_name"], body["user_uuid"], body["course_uuid"]) == ("Ada Lovelace", "user-uuid", "course-uuid")


def test_a_merge_gives_nobody_the_name_of_another():
    body = correction_of(with_item(user_id="21070000000000007")).body

    assert "user_name" not in body
    assert "user_uuid" not in body
    assert body["course_uuid"] == "course-uuid"


def test_a_moved_enrollment_does_not_keep_the_uuid_of_the_other_course():
    body = correction_of(with_item(course_id="21070000000000007")).body

    assert "course_uuid" not in body
    assert body["user_name"] == "Ada Lovelace"


@pytest.mark.parametrize(
    ("user", "verdict"),
    [
        (User("Ada Lovelace", "user-uuid"), Verdict.SAME),
        (User(None, None), Verdict.SAME),
        (None, Verdict.SAME),
        (User("Ada King", "user-uuid"), Verdict.DRIFTED),
        (User("Ada Lovelace", "another-uuid"), Verdict.DRIFTED),
    ],
)
def test_a_full_run_counts_names(user, verdict):
    assert judge(replace(CANDIDATE, differs=False), RESULT, user=user).verdict == verdict


def test_a_name_that_the_item_lacks_and_the_run_knows_is_drift():
    nameless = replace(with_item(user_name=None, user_uuid=None), differs=False)

    judgement = judge(nameless, RESULT, user=User("Ada Lovelace", None))

    assert judgement.verdict == Verdict.DRIFTED
    assert judgement.correction
    assert judgement.correction.body["user_name"] == "Ada Lovelace"


def test_a_missing_enrollment_gets_the_name_that_a_full_run_knows():
    body = correction_of(replace(CANDIDATE, item=None), user=User("Ada Lovelace", "user-uuid")).body

    assert (body["user_name"], body["user_uuid"]) == ("Ada Lovelace", "user-uuid")


def test_a_state_is_corrected_by_its_own_event():
    candidate = Candidate(
        table="enrollment_states",
        enrollment_id="21070000000046825",
        body={"state": "completed", "state_started_at": None},
        updated_at="2026-11-10T00:00:00.000000Z",
        differs=True,
        item={"event_time": BEFORE},
    )

    correction = correction_of(candidate)

    assert correction.event_name == "enrollment_state_updated"
    assert correction.body == {"enrollment_id": "21070000000046825", "state": "completed"}


@pytest.mark.parametrize("table", ["enrollments", "enrollment_states"])
def test_a_correction_is_an_event_that_our_functions_accept(table):
    state: dict[str, AttributeValue | None]
    state = {"state": "completed", "state_started_at": "2026-01-01T00:00:00.900000Z", "restricted_access": True}
    candidate = replace(CANDIDATE, table=table, body=CANDIDATE.body if table == "enrollments" else state, item=None)
    entry = correction_of(candidate).entry("bus")

    model: type[EnrollmentUpdated | EnrollmentStateUpdated]
    model = EnrollmentUpdated if table == "enrollments" else EnrollmentStateUpdated
    delivered = (
        '{"version":"0","id":"1","detail-type":"x","source":"canvas-live-state","account":"1","region":"r",'
        '"time":"2026-11-20T12:00:00Z","resources":[],"detail":' + entry["Detail"] + "}"
    )
    event = parse_event(delivered, model)

    assert entry["Source"] == "canvas-live-state"
    assert entry["DetailType"] == model.event_name
    assert event.event_time == VERSION
    assert {name: value for name, value in vars(event.detail.body).items() if name in candidate.body} == candidate.body
