"""The six event functions on moto, which evaluates their conditions."""

import json
from collections import Counter

import pytest
from moto.dynamodb.responses import DynamoHandler

from testbed.events import example, on_the_bus, without


@pytest.fixture
def requests(monkeypatch):
    """Number of requests by DynamoDB operation."""
    calls: Counter[str] = Counter()
    answer = DynamoHandler.call_action

    def count(handler):
        if handler.headers["User-Agent"].startswith("aws-sdk-rust"):
            calls[handler.headers["X-Amz-Target"].split(".")[1]] += 1
        return answer(handler)

    monkeypatch.setattr(DynamoHandler, "call_action", count)
    return calls


def test_the_documented_enrollment_is_stored(tables, deliver):
    # WHEN the documented example is delivered
    deliver(example("enrollment_created"))

    # THEN its item has exactly the documented attributes
    assert tables.item("enrollments") == {
        "enrollment_id": "21070000000046825",
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
        "enrollment_event_time": "2018-10-09T21:07:33.000000Z",
        "enrollment_version": "2018-10-09T21:07:33.000000Z#00#bbff92c498ac85a7",
    }


def test_the_documented_import_is_stored(tables, deliver):
    deliver(example("sis_batch_updated"))
    item = tables.item("sis_batches")
    assert item.pop("version").startswith("2020-01-15T16:20:25.548000Z#02#")
    assert item == {
        "account_id": "21070000000000001",
        "sis_batch_id": 1440004,
        "workflow_state": "created",
        "event_time": "2020-01-15T16:20:25.548000Z",
        "created_at": "2020-01-15T16:20:25.548000Z",
        "unfinished_since": "2020-01-15T16:20:25.548000Z",
    }


@pytest.mark.parametrize(
    ("event_name", "stale_requests"),
    [("enrollment_created", 1), ("enrollment_state_updated", 1), ("sis_batch_updated", 2)],
)
def test_a_duplicate_and_a_stale_event_change_nothing(tables, deliver, requests, output, event_name, stale_requests):
    # GIVEN an event that is applied
    deliver(example(event_name))
    before = tables.items("enrollments") + tables.items("sis_batches")

    # WHEN it is delivered again, THEN one request is sent; only a stale import needs a second one for its timeline
    deliver(example(event_name))
    assert requests == {"UpdateItem": 2}
    deliver(example(event_name, metadata={"event_time": "2001-01-01T00:00:00Z"}))
    assert requests == {"UpdateItem": 2 + stale_requests}

    # AND the outcomes are counted, and the item is unchanged
    metrics = output.metrics()
    assert (metrics["Duplicate"], metrics["Stale"]) == (1, 1)
    assert tables.items("enrollments") + tables.items("sis_batches") == before


@pytest.mark.parametrize("missing", [True, False])
def test_a_newer_event_clears_what_it_leaves_out_or_nulls(tables, deliver, missing):
    # GIVEN the enrollment of an observer
    deliver(example("enrollment_created"))

    # WHEN a newer event has no observed user
    newer = example("enrollment_updated", body={"associated_user_id": None})
    deliver(without(newer, "body", "associated_user_id") if missing else newer)

    # THEN the item has no observed user
    assert "associated_user_id" not in tables.item("enrollments")


def test_the_two_families_of_an_enrollment_do_not_block_each_other(tables, deliver):
    # GIVEN an enrollment
    deliver(example("enrollment_updated"))

    # WHEN a much older state of it is delivered
    enrollment_id = example("enrollment_updated")["body"]["enrollment_id"]
    deliver(
        example(
            "enrollment_state_created",
            metadata={"event_time": "2001-01-01T00:00:00Z"},
            body={"enrollment_id": enrollment_id},
        )
    )

    # THEN one item has both families
    item = tables.item("enrollments")
    assert (item["workflow_state"], item["state"]) == ("invited", "pending_invited")


def test_a_deleted_enrollment_is_a_state_and_may_come_back(tables, deliver):
    for day, state in enumerate(["active", "deleted", "active"], start=1):
        deliver(
            example(
                "enrollment_updated",
                metadata={"event_time": f"2025-01-0{day}T00:00:00Z"},
                body={"workflow_state": state},
            )
        )
        assert tables.item("enrollments")["workflow_state"] == state


def test_an_import_delivered_backwards_has_its_whole_timeline(tables, deliver):
    # GIVEN all events of an import
    states = ["initializing", "created", "importing", "imported"]
    events = [
        example(
            "sis_batch_updated" if number else "sis_batch_created",
            metadata={"event_time": f"2025-01-01T00:00:0{number}Z"},
            body={"sis_batch_id": "7", "workflow_state": state},
        )
        for number, state in enumerate(states)
    ]

    # WHEN they are delivered in reverse order
    for event in reversed(events):
        deliver(event)

    # THEN the import is imported, and the timeline has every state
    item = tables.item("sis_batches")
    assert item["workflow_state"] == "imported"
    assert {f"{state}_at": item[f"{state}_at"] for state in states} == {
        f"{state}_at": f"2025-01-01T00:00:0{number}.000000Z" for number, state in enumerate(states)
    }


def test_a_state_entered_twice_keeps_its_latest_time(tables, deliver):
    # GIVEN an import that was importing at second 1 and at second 3, and imported at second 4
    for second, state in [(4, "imported"), (3, "importing"), (1, "importing")]:
        deliver(
            example(
                "sis_batch_updated",
                metadata={"event_time": f"2025-01-01T00:00:0{second}Z"},
                body={"workflow_state": state},
            )
        )

    # THEN the timeline has second 3
    assert tables.item("sis_batches")["importing_at"] == "2025-01-01T00:00:03.000000Z"


def test_imports_of_two_schools_with_the_same_number_are_two_items(tables, deliver):
    for root_account_id in ("21070000000000001", "30000000000000001"):
        deliver(example("sis_batch_created", metadata={"root_account_id": root_account_id}))
    assert len(tables.items("sis_batches")) == 2


def test_a_roster_is_found_by_course_and_by_user(tables, deliver):
    deliver(example("enrollment_created"))
    for index, key, value in [
        ("by_course", "course_id", "21070000000000565"),
        ("by_user", "user_id", "21070000000020064"),
    ]:
        (found,) = tables.query("enrollments", index, key, value)
        assert found["user_name"] == "Isaac Newton"
        assert "enrollment_version" not in found


def test_an_event_that_can_never_succeed_is_dead_lettered_with_the_reason(tables, deliver, dead_letters):
    # WHEN an event without a time is delivered
    message = without(example("enrollment_created"), "metadata", "event_time")
    assert deliver(message) == []

    # THEN SQS has the unchanged message with event, field and rule, and nothing is stored
    (dead_letter,) = dead_letters()
    assert json.loads(dead_letter["Body"]) == on_the_bus(message, "enrollment_created")
    assert {name: value["StringValue"] for name, value in dead_letter["MessageAttributes"].items()} == {
        "error": "RejectedEvent",
        "reason": "enrollment_created: metadata.event_time is missing, so the event cannot be ordered",
    }
    assert tables.items("enrollments") == []
