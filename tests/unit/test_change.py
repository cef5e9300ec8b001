"""What an event changes: an item's snapshot, with a version that is equal only for the same content."""

import hashlib
from collections.abc import Callable

import pytest

from functions.canvas.sis_batch import LIFE_CYCLE
from functions.projection.change import Change, Outcome
from functions.projection.enrollment import enrollment_snapshot, state_snapshot
from functions.projection.sis_batch import import_snapshot
from testbed.events import example
from testbed.models import parsed

SNAPSHOTS: dict[str, Callable[..., Change]] = {
    "enrollment_created": enrollment_snapshot,
    "enrollment_updated": enrollment_snapshot,
    "enrollment_state_created": state_snapshot,
    "enrollment_state_updated": state_snapshot,
    "sis_batch_created": import_snapshot,
    "sis_batch_updated": import_snapshot,
}


def change(event_name, **parts):
    return change_of(example(event_name, **parts))


def change_of(message):
    """What `message` changes."""
    event_name = (message.get("metadata") or message["attributes"])["event_name"]
    return SNAPSHOTS[event_name](parsed(event_name, message))


def test_the_documented_enrollment_changes_its_family_of_the_item():
    assert change("enrollment_created") == Change(
        key={"enrollment_id": "21070000000046825"},
        attributes={
            "course_id": "21070000000000565",
            "course_section_id": "21070000000004811",
            "user_id": "21070000000020064",
            "user_name": "Isaac Newton",
            "type": "StudentEnrollment",
            "workflow_state": "invited",
            "associated_user_id": "21070000000000562",
            "limit_privileges_to_course_section": False,
            "created_at": "2018-10-09T21:07:33.000000Z",
            "updated_at": "2018-10-09T21:07:33.000000Z",
            "course_uuid": None,
            "user_uuid": None,
            "enrollment_event_time": "2018-10-09T21:07:33.000000Z",
        },
        event_time="2018-10-09T21:07:33.000000Z",
        rank=0,
        version_attribute="enrollment_version",
    )


def test_the_uuids_of_newer_canvas_are_kept():
    attributes = change("enrollment_created", body={"course_uuid": "a", "user_uuid": "b"}).attributes
    assert (attributes["course_uuid"], attributes["user_uuid"]) == ("a", "b")


def test_the_documented_enrollment_state_changes_its_family_of_the_item():
    assert change("enrollment_state_created") == Change(
        key={"enrollment_id": "21070000000000143"},
        attributes={
            "state": "pending_invited",
            "state_started_at": "2019-10-05T13:38:00.000000Z",
            "state_valid_until": "2019-11-05T13:38:00.218000Z",
            "state_is_current": True,
            "restricted_access": False,
            "access_is_current": True,
            "state_event_time": "2019-11-01T19:11:09.910000Z",
        },
        event_time="2019-11-01T19:11:09.910000Z",
        rank=0,
        version_attribute="state_version",
    )


def test_the_documented_import_changes_its_item_its_timeline_and_the_index_of_unfinished_imports():
    event_time = "2020-01-15T16:20:25.548000Z"
    assert change("sis_batch_updated") == Change(
        key={"account_id": "21070000000000001", "sis_batch_id": 1440004},
        attributes={"workflow_state": "created", "event_time": event_time},
        event_time=event_time,
        rank=2,
        version_attribute="version",
        derived={"unfinished_since": event_time},
        timeline={"created_at": event_time},
    )


def test_outcomes_are_named_as_their_metrics():
    assert list(Outcome) == ["Applied", "Duplicate", "Stale"]


def test_a_version_is_time_rank_and_digest():
    # GIVEN a change with a value that is null
    a_change = Change(
        key={"id": "1"},
        attributes={"b": "ü", "a": True, "cleared": None},
        event_time="2019-11-01T19:11:12.546000Z",
        rank=1,
        version_attribute="version",
    )

    # THEN its digest is that of its canonical JSON, in which null and missing are the same
    digest = hashlib.sha256(b'{"a":true,"b":"\\u00fc"}').hexdigest()[:16]
    assert a_change.version == f"2019-11-01T19:11:12.546000Z#01#{digest}"


@pytest.mark.parametrize(("family", "updated"), [("enrollment", 1), ("enrollment_state", 1), ("sis_batch", 2)])
def test_of_two_events_at_one_time_the_creation_came_first(family, updated):
    assert (change(f"{family}_created").rank, change(f"{family}_updated").rank) == (0, updated)


def test_a_millisecond_later_is_newer_whatever_the_rank():
    created = change("enrollment_created", metadata={"event_time": "2020-01-01T00:00:00.002Z"})
    updated = change("enrollment_updated", metadata={"event_time": "2020-01-01T00:00:00.001Z"})
    assert updated.version < created.version


def test_of_two_import_updates_at_one_time_the_later_in_the_life_cycle_wins():
    # GIVEN updates in every state, the last of them one that Canvas may add
    states = ["initializing", "created", "importing", "cleanup_batch", "imported", "imported_with_messages", "aborted"]
    states += ["failed", "failed_with_messages", "restoring", "partially_restored", "restored", "invented_later"]

    # THEN their ranks are those of the life cycle, after that of the creation
    ranks = [change("sis_batch_updated", body={"workflow_state": state}).rank for state in states]
    assert ranks == [*range(1, 13), 99]


def test_an_import_is_unfinished_in_the_states_that_it_is_expected_to_leave():
    unfinished = {"initializing", "created", "importing", "cleanup_batch", "restoring"}
    for state in (*LIFE_CYCLE, "invented_later"):
        a_change = change("sis_batch_updated", body={"workflow_state": state})
        assert a_change.derived == {"unfinished_since": a_change.event_time if state in unfinished else None}


def test_a_tie_of_different_content_is_broken_the_same_way_everywhere():
    versions = {change("enrollment_updated", body={"user_name": name}).version for name in ("A", "B")}
    assert len(versions) == 2


def test_the_same_content_written_differently_has_one_version():
    # GIVEN one event, its time with another offset, its id an integer, a null left out
    one = change(
        "enrollment_updated",
        metadata={"event_time": "2024-06-28T19:36:16-07:00"},
        body={"course_uuid": None, "created_at": "2018-10-09T21:07:33Z"},
    )
    other = change(
        "enrollment_updated",
        metadata={"event_time": "2024-06-29 02:36:16 UTC"},
        body={"course_id": 21070000000000565, "created_at": "2018-10-09 13:07:33 -0800"},
    )

    # THEN it is one version
    assert one.version == other.version


STATES = ["invited", "creation_pending", "active", "deleted", "rejected", "completed", "inactive"]


@pytest.mark.parametrize(
    ("event_name", "field", "states"),
    [
        ("enrollment_created", "workflow_state", STATES),
        ("enrollment_state_updated", "state", [*STATES, "pending_invited", "pending_active", None]),
        ("sis_batch_updated", "workflow_state", LIFE_CYCLE),
    ],
)
def test_states_that_canvas_has_today_are_known(event_name, field, states):
    assert [state for state in states if not change(event_name, body={field: state}).state_is_known] == []


def test_states_that_canvas_invents_later_are_not():
    assert not change("enrollment_created", body={"workflow_state": "pending_active"}).state_is_known
    assert not change("enrollment_state_updated", body={"state": "frozen"}).state_is_known
    assert not change("sis_batch_updated", body={"workflow_state": "queued"}).state_is_known


def test_a_state_of_sixty_four_characters_can_name_an_attribute():
    assert change("sis_batch_updated", body={"workflow_state": "x" * 64}).timeline.keys() == {"x" * 64 + "_at"}


@pytest.mark.parametrize("unspeakable", ["", "not an identifier", "a#b", "1st", "Größe", "x" * 65])
def test_a_state_that_cannot_name_an_attribute_is_kept_without_a_timeline(unspeakable):
    a_change = change("sis_batch_updated", body={"workflow_state": unspeakable})
    assert a_change.timeline == {}
    assert a_change.attributes["workflow_state"] == unspeakable


@pytest.mark.parametrize("sis_batch_id", ["31048324", "21070000031048324"])
def test_an_import_is_found_by_its_global_account_and_local_number(sis_batch_id):
    key = change("sis_batch_created", body={"sis_batch_id": sis_batch_id}).key
    assert key == {"account_id": "21070000000000001", "sis_batch_id": 31048324}
