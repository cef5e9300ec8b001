"""Versions: totally ordered, and equal only for the same content."""

import hashlib

import pytest

from functions.projection.change import Change
from functions.projection.enrollment import enrollment_snapshot, state_snapshot
from functions.projection.sis_batch import import_snapshot
from tests.canvas import example
from tests.unit.test_models import parsed

SNAPSHOTS = {
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


@pytest.mark.parametrize("family", ["enrollment", "enrollment_state", "sis_batch"])
def test_of_two_events_at_one_time_the_creation_came_first(family):
    at = {"event_time": "2020-01-01T00:00:00.001Z"}
    assert change(f"{family}_created", metadata=at).version < change(f"{family}_updated", metadata=at).version


def test_a_millisecond_later_is_newer_whatever_the_rank():
    created = change("enrollment_created", metadata={"event_time": "2020-01-01T00:00:00.002Z"})
    updated = change("enrollment_updated", metadata={"event_time": "2020-01-01T00:00:00.001Z"})
    assert updated.version < created.version


def test_of_two_import_updates_at_one_time_the_later_in_the_life_cycle_wins():
    # GIVEN updates of one time in every state, one of them unknown
    states = ["initializing", "created", "importing", "cleanup_batch", "imported", "imported_with_messages", "aborted"]
    states += ["failed", "failed_with_messages", "restoring", "partially_restored", "restored", "invented_later"]
    versions = [change("sis_batch_updated", body={"workflow_state": state}).version for state in states]

    # THEN their versions sort as the life cycle does
    assert versions == sorted(versions)


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


def test_states_that_we_know_are_known():
    assert change("enrollment_created").state_is_known
    assert change("enrollment_state_updated").state_is_known
    assert change("enrollment_state_updated", body={"state": None}).state_is_known
    assert change("sis_batch_updated").state_is_known


def test_states_that_canvas_invents_later_are_not():
    assert not change("enrollment_created", body={"workflow_state": "pending_active"}).state_is_known
    assert not change("enrollment_state_updated", body={"state": "frozen"}).state_is_known
    assert not change("sis_batch_updated", body={"workflow_state": "queued"}).state_is_known


@pytest.mark.parametrize("unspeakable", ["", "not an identifier", "a#b", "1st", "Größe", "x" * 65])
def test_a_state_that_cannot_name_an_attribute_is_kept_without_a_timeline(unspeakable):
    a_change = change("sis_batch_updated", body={"workflow_state": unspeakable})
    assert a_change.timeline == {}
    assert a_change.attributes["workflow_state"] == unspeakable


@pytest.mark.parametrize("sis_batch_id", ["31048324", "21070000031048324"])
def test_an_import_is_found_by_its_global_account_and_local_number(sis_batch_id):
    key = change("sis_batch_created", body={"sis_batch_id": sis_batch_id}).key
    assert key == {"account_id": "21070000000000001", "sis_batch_id": 31048324}
