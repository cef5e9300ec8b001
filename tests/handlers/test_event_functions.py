"""The six functions on a DynamoDB that evaluates their conditions."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from moto.dynamodb.responses import DynamoHandler

from functions.canvas.fields import format_timestamp
from functions.projection.change import Outcome
from functions.projection.table import Table
from functions.runtime import setting
from tests.canvas import EVENT_NAMES, example, on_the_bus, retried, sqs_batch, without
from tests.context import FunctionContext


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


def enrollments(numbers, **parts):
    """The documented enrollment, once for each of `numbers`, which are its ids."""
    return [example("enrollment_created", **parts | {"body": {"enrollment_id": str(number)}}) for number in numbers]


def ago(**duration):
    """The metadata of an event that happened so long ago."""
    return {"event_time": format_timestamp(datetime.now(UTC) - timedelta(**duration))}


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
def test_an_event_in_order_is_one_request_and_is_counted_with_its_lag(tables, deliver, requests, output, event_name):
    # GIVEN an event that happened a minute ago, WHEN it is delivered
    assert deliver(example(event_name, metadata=ago(minutes=1))) == []

    # THEN it was one request, and its function counts it, and how late it was, and logs nothing
    assert requests == {"UpdateItem": 1}
    log, metrics = output.read()
    assert metrics.pop("EventLag") == pytest.approx(60_000, abs=30_000)
    assert metrics == {"event_name": event_name, "Applied": 1}
    assert log == []


def test_a_correction_is_counted_without_lag_since_its_time_is_that_of_what_it_corrects(tables, handlers, output):
    # GIVEN a correction of a row that is hours old
    correction = on_the_bus(example("enrollment_updated", metadata=ago(minutes=600)), "enrollment_updated")

    # WHEN it is delivered
    batch = sqs_batch(json.dumps(correction | {"source": "canvas-live-state"}))
    assert retried(handlers["enrollment_updated"](batch, FunctionContext())) == []

    # THEN it is applied as any event
    assert output.metrics() == {"event_name": "enrollment_updated", "Applied": 1}


def test_a_batch_of_ten_items_is_ten_requests(tables, deliver, requests):
    assert deliver(*enrollments(range(1, 11))) == []
    assert requests == {"UpdateItem": 10}
    assert len(tables.items("enrollments")) == 10


def test_the_messages_of_a_batch_are_written_concurrently(deliver, monkeypatch):
    # GIVEN a table of which no write ends before all ten have begun
    all_begun = asyncio.Barrier(10)

    async def apply(*_):
        await asyncio.wait_for(all_begun.wait(), timeout=5)
        return Outcome.APPLIED

    monkeypatch.setattr(Table, "apply", apply)

    # WHEN ten events are delivered in one batch, THEN all are done
    assert deliver(*enrollments(range(1, 11))) == []


@pytest.mark.parametrize(
    ("event_name", "stale_requests"),
    [("enrollment_created", 1), ("enrollment_state_updated", 1), ("sis_batch_updated", 2)],
)
def test_a_duplicate_and_a_stale_event_change_nothing(tables, deliver, requests, output, event_name, stale_requests):
    # GIVEN an event that is applied
    deliver(example(event_name))
    before = tables.items("enrollments") + tables.items("sis_batches")

    # WHEN it is delivered again, THEN that is one request; only a stale import takes a second, for its timeline
    deliver(example(event_name))
    assert requests == {"UpdateItem": 2}
    deliver(example(event_name, metadata={"event_time": "2001-01-01T00:00:00Z"}))
    assert requests == {"UpdateItem": 2 + stale_requests}

    # AND the outcomes are counted, and the item is as it was
    metrics = output.metrics()
    assert (metrics["Duplicate"], metrics["Stale"]) == (1, 1)
    assert tables.items("enrollments") + tables.items("sis_batches") == before


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

    # THEN one item has both
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

    # WHEN its events are delivered backwards
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
def test_a_state_that_we_do_not_know_is_stored_and_counted(tables, deliver, output, event_name):
    state = "state" if "enrollment_state" in event_name else "workflow_state"
    deliver(example(event_name, body={state: "invented_later"}))
    assert output.metrics()["UnknownState"] == 1
    assert tables.item("sis_batches" if "sis" in event_name else "enrollments")[state] == "invented_later"


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_an_event_that_can_never_succeed_is_dead_lettered_with_the_reason(
    tables, deliver, dead_letters, output, event_name
):
    # WHEN an event without a time arrives
    message = without(example(event_name), "metadata", "event_time")
    assert deliver(message, to=event_name) == []

    # THEN it is in the dead-letter queue as it came, with the event, the field and the rule
    (dead_letter,) = dead_letters()
    assert json.loads(dead_letter["Body"]) == on_the_bus(message, event_name)
    attributes = {name: value["StringValue"] for name, value in dead_letter["MessageAttributes"].items()}
    reason = f"{event_name}: metadata.event_time is missing, so the event cannot be ordered"
    assert attributes == {"error": "RejectedEvent", "reason": reason}

    # AND it is counted, and nothing is stored
    assert output.metrics() == {"event_name": event_name, "Rejected": 1}
    assert tables.items("enrollments") == tables.items("sis_batches") == []


def test_a_function_takes_its_own_event_only(tables, deliver, dead_letters):
    deliver(example("enrollment_created"), to="enrollment_updated")
    (dead_letter,) = dead_letters()
    assert "enrollment_updated: the message is another event" in str(dead_letter["MessageAttributes"])


def test_an_event_from_the_future_is_rejected(tables, deliver, dead_letters, output):
    # WHEN an event arrives that is sixteen minutes ahead of our clock, and one that is fourteen minutes ahead
    ahead = [example("enrollment_created", metadata=ago(minutes=-minutes)) for minutes in (16, 14)]
    deliver(*ahead)

    # THEN the first would freeze its item and is rejected; the second is applied, and its lag is not negative
    (dead_letter,) = dead_letters()
    assert "event_time is more than 15 minutes in the future" in str(dead_letter["MessageAttributes"])
    assert output.metrics() == {"event_name": "enrollment_created", "Rejected": 1, "Applied": 1, "EventLag": 0}


class PanicException(BaseException):
    """What pydynox raises if its core panics."""


@pytest.fixture
def fail(monkeypatch):
    """Let the write of one enrollment raise an error."""
    apply = Table.apply

    def fail(enrollment_id, error):
        async def apply_or_raise(table, change):
            if change.key == {"enrollment_id": enrollment_id}:
                raise error
            return await apply(table, change)

        monkeypatch.setattr(Table, "apply", apply_or_raise)

    return fail


@pytest.mark.parametrize("error", [KeyError("Isaac"), asyncio.CancelledError("Isaac"), PanicException("Isaac")])
def test_one_bad_message_never_disturbs_its_neighbours(tables, deliver, dead_letters, output, fail, error):
    # GIVEN a batch of one invalid, one failing and eight good messages
    invalid, failing, *good = enrollments(range(1, 11), metadata=ago(minutes=1))
    invalid["body"]["course_id"] = "Isaac"
    fail("2", error)

    # WHEN it is delivered, THEN the failing message is reported for retry
    assert deliver(*good[:4], invalid, *good[4:], failing) == ["message-9"]

    # AND the invalid one is dead-lettered, and the good ones are applied
    (dead_letter,) = dead_letters()
    assert "enrollment_created: body.course_id is not a Canvas id" in str(dead_letter["MessageAttributes"])
    assert {item["enrollment_id"] for item in tables.items("enrollments")} == set(map(str, range(3, 11)))

    # AND all are counted, with the lag of those that are done
    (log,), metrics = output.read()
    assert metrics.pop("EventLag") == pytest.approx(8 * 60_000, rel=0.5)
    # Where the machine is slow, the SDK sends a write again, which then is a duplicate of itself.
    assert metrics.pop("Applied") + metrics.pop("Duplicate", 0) == 8
    assert metrics == {"event_name": "enrollment_created", "Rejected": 1, "Retried": 1}

    # AND one line says how many failed and why, with no value of theirs
    reason = "enrollment_created: body.course_id is not a Canvas id (a positive number of at most 19 digits)"
    assert (log["rejected"], log["retried"]) == ({reason: 1}, {type(error).__name__: 1})
    assert "Isaac" not in str(log)


def test_a_failure_of_dynamodb_is_neither_stale_nor_swallowed(aws, deliver, output):
    # GIVEN no table
    # WHEN an event arrives, THEN it is reported for retry, and nothing else is counted
    assert deliver(example("enrollment_created")) == ["message-0"]
    (log,), metrics = output.read()
    assert metrics == {"event_name": "enrollment_created", "Retried": 1}
    assert log["retried"] == {"ResourceNotFoundException": 1}


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_an_empty_batch_is_done(deliver, requests, output):
    assert deliver(to="enrollment_created") == []
    assert requests == {}


def test_a_function_without_its_settings_says_which_is_missing(monkeypatch):
    monkeypatch.delenv("ENROLLMENTS_TABLE")
    with pytest.raises(RuntimeError, match="ENROLLMENTS_TABLE is not set"):
        setting("ENROLLMENTS_TABLE")
