"""The six functions on a DynamoDB that evaluates their conditions."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from moto.dynamodb.responses import DynamoHandler

from functions.canvas.fields import format_timestamp
from functions.canvas.rejection import RejectedEvent
from functions.state.table import WriteFailed
from tests.canvas import EVENT_NAMES, example, without


@pytest.fixture
def requests(monkeypatch):
    """How often each DynamoDB operation is requested by the functions' client."""
    calls = Counter()
    answer = DynamoHandler.call_action

    def count(handler):
        if handler.headers["User-Agent"].startswith("aws-sdk-rust"):
            calls[handler.headers["X-Amz-Target"].split(".")[1]] += 1
        return answer(handler)

    monkeypatch.setattr(DynamoHandler, "call_action", count)
    return calls


def test_the_documented_enrollment_is_stored(tables, deliver):
    # WHEN Canvas' example arrives
    deliver(example("enrollment_created"))

    # THEN its item has the documented attributes, and only those
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


def test_the_documented_enrollment_state_is_stored(tables, deliver):
    deliver(example("enrollment_state_created"))
    item = tables.item("enrollments")
    assert item.pop("state_version").startswith("2019-11-01T19:11:09.910000Z#00#")
    assert item == {
        "enrollment_id": "21070000000000143",
        "state": "pending_invited",
        "state_started_at": "2019-10-05T13:38:00.000000Z",
        "state_valid_until": "2019-11-05T13:38:00.218000Z",
        "state_is_current": True,
        "restricted_access": False,
        "access_is_current": True,
        "state_event_time": "2019-11-01T19:11:09.910000Z",
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


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_an_event_in_order_is_one_request(tables, deliver, requests, event_name):
    deliver(example(event_name))
    assert requests == {"UpdateItem": 1}


@pytest.mark.parametrize("event_name", [name for name in EVENT_NAMES if name.startswith("enrollment")])
def test_a_duplicate_and_a_stale_enrollment_event_are_one_request_each(tables, deliver, requests, event_name):
    # GIVEN an event that is applied
    deliver(example(event_name))

    # WHEN it comes again, and one that is older
    deliver(example(event_name))
    deliver(example(event_name, metadata={"event_time": "2001-01-01T00:00:00Z"}))

    # THEN each was one request
    assert requests == {"UpdateItem": 3}


def test_only_a_stale_import_event_is_two_requests(tables, deliver, requests):
    deliver(example("sis_batch_updated"))
    deliver(example("sis_batch_updated"))
    assert requests == {"UpdateItem": 2}
    deliver(example("sis_batch_updated", metadata={"event_time": "2001-01-01T00:00:00Z"}))
    assert requests == {"UpdateItem": 4}


def test_an_older_event_that_arrives_late_changes_nothing(tables, deliver, output):
    # GIVEN an enrollment that is active
    deliver(example("enrollment_updated", body={"workflow_state": "active"}))
    before = tables.item("enrollments")
    output.lines()

    # WHEN the invitation that preceded it arrives
    deliver(example("enrollment_created"))

    # THEN it is stale, and the enrollment is still active
    assert output.metrics()["Stale"] == 1
    assert tables.item("enrollments") == before


def test_an_event_that_arrives_twice_is_a_duplicate(tables, deliver, output):
    deliver(example("enrollment_created"))
    before = tables.item("enrollments")
    output.lines()
    deliver(example("enrollment_created"))
    assert output.metrics()["Duplicate"] == 1
    assert tables.item("enrollments") == before


@pytest.mark.parametrize("missing", [True, False])
def test_a_newer_event_clears_what_it_leaves_out_or_nulls(tables, deliver, missing):
    # GIVEN an observer's enrollment
    deliver(example("enrollment_created"))

    # WHEN a newer event comes without the observed user
    newer = example("enrollment_updated", body={"associated_user_id": None})
    deliver(without(newer, "body", "associated_user_id") if missing else newer)

    # THEN the item has none
    assert "associated_user_id" not in tables.item("enrollments")


def test_the_two_families_of_an_enrollment_do_not_block_each_other(tables, deliver):
    # GIVEN an enrollment
    deliver(example("enrollment_updated"))

    # WHEN a much older state of it arrives
    enrollment_id = example("enrollment_updated")["body"]["enrollment_id"]
    deliver(
        example(
            "enrollment_state_created",
            metadata={"event_time": "2001-01-01T00:00:00Z"},
            body={"enrollment_id": enrollment_id},
        )
    )

    # THEN both stand in one item
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


def test_an_import_told_backwards_has_its_whole_timeline(tables, deliver):
    # GIVEN an import's life
    states = ["initializing", "created", "importing", "imported"]
    events = [
        example(
            "sis_batch_updated" if number else "sis_batch_created",
            metadata={"event_time": f"2025-01-01T00:00:0{number}Z"},
            body={"sis_batch_id": "7", "workflow_state": state},
        )
        for number, state in enumerate(states)
    ]

    # WHEN it is told backwards
    for event in reversed(events):
        deliver(event)

    # THEN the import is imported, and every state has its time
    item = tables.item("sis_batches")
    assert item["workflow_state"] == "imported"
    assert {f"{state}_at": item[f"{state}_at"] for state in states} == {
        f"{state}_at": f"2025-01-01T00:00:0{number}.000000Z" for number, state in enumerate(states)
    }


def test_a_state_entered_twice_keeps_its_latest_time(tables, deliver):
    # GIVEN an import that was importing twice, at 1 and at 3, and imported at 4
    for second, state in [(4, "imported"), (3, "importing"), (1, "importing")]:
        deliver(
            example(
                "sis_batch_updated",
                metadata={"event_time": f"2025-01-01T00:00:0{second}Z"},
                body={"workflow_state": state},
            )
        )

    # THEN it was last importing at 3
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


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_an_applied_event_is_counted_with_its_lag(tables, deliver, output, event_name):
    # GIVEN an event that happened a minute ago
    a_minute_ago = format_timestamp(datetime.now(UTC) - timedelta(minutes=1))

    # WHEN it arrives
    deliver(example(event_name, metadata={"event_time": a_minute_ago}))

    # THEN its function counts it, and how late it was
    metrics = output.metrics()
    assert metrics.pop("EventLag") == pytest.approx(60_000, abs=30_000)
    assert metrics == {"event_name": event_name, "Applied": 1}


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_a_state_that_we_do_not_know_is_stored_and_counted(tables, deliver, output, event_name):
    state, table = {
        "enrollment_created": ("workflow_state", "enrollments"),
        "enrollment_updated": ("workflow_state", "enrollments"),
        "enrollment_state_created": ("state", "enrollments"),
        "enrollment_state_updated": ("state", "enrollments"),
        "sis_batch_created": ("workflow_state", "sis_batches"),
        "sis_batch_updated": ("workflow_state", "sis_batches"),
    }[event_name]
    deliver(example(event_name, body={state: "invented_later"}))
    assert output.metrics()["UnknownState"] == 1
    assert tables.item(table)[state] == "invented_later"


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_an_event_from_the_future_is_rejected(tables, deliver, output, event_name):
    # GIVEN an event sixteen minutes ahead of our clock
    ahead = format_timestamp(datetime.now(UTC) + timedelta(minutes=16))

    # WHEN it arrives, THEN it is rejected, counted, and nothing is stored
    with pytest.raises(RejectedEvent, match="event_time is more than 15 minutes in the future"):
        deliver(example(event_name, metadata={"event_time": ahead}))
    assert output.metrics() == {"event_name": event_name, "Rejected": 1}
    assert tables.items("enrollments") == tables.items("sis_batches") == []


def test_an_event_slightly_ahead_of_our_clock_is_applied(tables, deliver):
    deliver(
        example(
            "enrollment_created", metadata={"event_time": format_timestamp(datetime.now(UTC) + timedelta(minutes=14))}
        )
    )
    assert tables.items("enrollments")


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_an_invalid_event_is_rejected_counted_and_logged(tables, deliver, output, event_name):
    # WHEN an event without a time arrives
    with pytest.raises(RejectedEvent) as rejected:
        deliver(without(example(event_name), "metadata", "event_time"))

    # THEN the operator is told which event, which field, which rule, and what to do
    text = f"{event_name}: metadata.event_time is missing, so the event cannot be ordered. "
    assert str(rejected.value).startswith(text + "The event is in the dead-letter queue; see docs/operations.md#")
    lines = output.lines()
    assert any(text in line and '"level":"ERROR"' in line for line in lines)


@pytest.mark.parametrize("event_name", EVENT_NAMES)
@pytest.mark.parametrize("other", EVENT_NAMES)
def test_a_function_takes_its_own_event_only(tables, deliver, event_name, other):
    if event_name == other:
        deliver(example(event_name), to=event_name)
        return
    with pytest.raises(RejectedEvent, match=f"^{other}: the message is another event"):
        deliver(example(event_name), to=other)


def test_a_failure_of_dynamodb_is_neither_stale_nor_swallowed(aws, deliver, output):
    # GIVEN no table
    # WHEN an event arrives, THEN the function fails, so that Lambda delivers the event again
    with pytest.raises(WriteFailed, match="ResourceNotFoundException"):
        deliver(example("enrollment_created"))
    assert output.metrics().keys() == {"event_name", "EventLag"}


def test_a_successful_event_logs_nothing_at_info(tables, deliver, output):
    deliver(example("enrollment_created"))
    assert [line for line in output.lines() if not line.startswith('{"_aws"')] == []


def test_the_correlation_id_of_a_rejection_is_the_events_own(tables, deliver, output):
    with pytest.raises(RejectedEvent):
        deliver(without(example("enrollment_created"), "body"))
    assert '"correlation_id":"17793124-05d4-b198-2fde-7ededc63b103"' in "".join(output.lines())


def test_a_function_without_its_settings_says_which_is_missing(monkeypatch):
    monkeypatch.delenv("ENROLLMENTS_TABLE")
    with pytest.raises(RuntimeError, match="ENROLLMENTS_TABLE is not set"):
        import_module("functions.runtime").setting("ENROLLMENTS_TABLE")


def test_an_event_without_a_route_has_no_function():
    with pytest.raises(LookupError, match=r"course_created has no route: add it to functions/routes\.py"):
        import_module("functions.routes").route_of("course_created")
