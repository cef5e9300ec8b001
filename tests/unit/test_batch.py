"""What becomes of a batch of messages: each is written, dead-lettered or retried, whatever becomes of the others."""

import json
import logging
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pydynox
import pytest

from functions.canvas.fields import format_timestamp
from functions.runtime import logger
from testbed.events import EVENT_NAMES, example, on_the_bus, retried, sqs_batch, without
from testbed.functions import load_handlers
from testbed.lambda_context import FunctionContext
from testbed.scripted_server import error, refused

INVALID_COURSE = "enrollment_created: body.course_id is not a Canvas id (a positive number of at most 19 digits)"


def enrollments(numbers, **metadata):
    """The documented enrollment, once for each of `numbers`, which are its ids."""
    return [example("enrollment_created", metadata=metadata, body={"enrollment_id": str(number)}) for number in numbers]


def ago(**duration):
    """The time of an event that happened so long ago."""
    return format_timestamp(datetime.now(UTC) - timedelta(**duration))


@pytest.fixture
def batch(handlers):
    """The names of the module `batch` that the handlers use."""
    return handlers["enrollment_created"].__wrapped__.__globals__


@pytest.fixture
def debug_logging():
    """Functions that log at debug."""
    before = logger.log_level
    logger.setLevel(logging.DEBUG)
    yield
    logger.setLevel(before)


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_an_event_is_one_request_to_its_table_and_is_counted_with_its_lag(dynamodb, deliver, output, event_name):
    # GIVEN an event that happened a minute ago, WHEN it is delivered
    assert deliver(example(event_name, metadata={"event_time": ago(minutes=1)})) == []

    # THEN it was one write of its item
    (request,) = dynamodb.requests
    assert request["TableName"] == ("sis_batches" if event_name.startswith("sis") else "enrollments")

    # AND its function counts it, and how late it was, and logs nothing
    log, metrics = output.read()
    assert metrics.pop("EventLag") == pytest.approx(60_000, abs=20_000)
    assert metrics == {"event_name": event_name, "Applied": 1}
    assert log == []


def test_a_correction_is_counted_without_lag_since_its_time_is_that_of_what_it_corrects(dynamodb, handlers, output):
    # GIVEN a correction, WHEN it is delivered
    correction = on_the_bus(example("enrollment_updated"), "enrollment_updated") | {"source": "canvas-live-state"}
    assert retried(handlers["enrollment_updated"](sqs_batch(json.dumps(correction)), FunctionContext())) == []

    # THEN it is applied as any event
    assert output.metrics() == {"event_name": "enrollment_updated", "Applied": 1}


def test_an_outcome_is_traced_at_debug_by_event_key_and_version(dynamodb, deliver, output, debug_logging):
    # GIVEN an item that is newer than the event
    dynamodb.answers = [refused(enrollment_version="9999")]

    # WHEN the event is delivered
    deliver(example("enrollment_created"))

    # THEN a line says what became of it
    (line,), metrics = output.read()
    assert (line["level"], line["message"]) == ("DEBUG", "Stale")
    assert line["correlation_id"] == on_the_bus({})["id"]
    assert line["key"] == {"enrollment_id": "21070000000046825"}
    assert line["version"].startswith("2018-10-09T21:07:33.000000Z#00#")
    assert metrics["Stale"] == 1


def test_a_state_that_we_do_not_know_is_written_and_counted(dynamodb, deliver, output):
    deliver(example("sis_batch_updated", body={"workflow_state": "invented_later"}))
    assert len(dynamodb.requests) == 1
    assert output.metrics()["UnknownState"] == 1


def test_ten_messages_are_written_at_the_same_time(dynamodb, deliver, batch, monkeypatch):
    # GIVEN a table of which no write begins before all ten are to begin
    ready, apply = threading.Barrier(10, timeout=5), batch["Table"].apply

    def apply_together(table, change):
        ready.wait()
        return apply(table, change)

    monkeypatch.setattr(batch["Table"], "apply", apply_together)

    # WHEN ten events are delivered in one batch, THEN all are written
    assert deliver(*enrollments(range(1, 11))) == []
    assert len(dynamodb.requests) == 10


def test_the_messages_of_a_batch_have_twenty_seconds_in_all(deliver, batch, output, monkeypatch):
    # GIVEN three writes of which the first ends after 15 seconds, and the others never
    waited = []

    def result(timeout):
        waited.append(timeout)
        raise TimeoutError

    clock = iter([100.0, 100.0, 115.0, 120.5])
    monkeypatch.setitem(batch, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setitem(batch, "_threads", SimpleNamespace(submit=lambda *_: SimpleNamespace(result=result)))

    # WHEN they are delivered, THEN each is waited for until those 20 seconds are over, and retried
    assert deliver(*enrollments(range(3))) == ["message-0", "message-1", "message-2"]
    assert waited == [20, 5, 0]
    (line,), _ = output.read()
    assert line["retried"] == {"TimeoutError": 3}


def test_an_event_from_the_future_is_rejected(dynamodb, deliver, scripted_dead_letters, output):
    # WHEN events arrive that are sixteen and fourteen minutes ahead of our clock
    deliver(*(enrollments([number], event_time=ago(minutes=-number))[0] for number in (16, 14)))

    # THEN the first would freeze its item and is rejected; the second is applied, and its lag is not negative
    (entry,) = scripted_dead_letters.entries
    reason = "enrollment_created: metadata.event_time is more than 15 minutes in the future"
    assert entry["MessageAttributes"]["reason"]["StringValue"] == reason
    assert output.metrics() == {"event_name": "enrollment_created", "Rejected": 1, "Applied": 1, "EventLag": 0}
    (request,) = dynamodb.requests
    assert request["Key"] == {"enrollment_id": {"S": "14"}}


def test_a_function_takes_its_own_event_only(dynamodb, deliver, scripted_dead_letters):
    assert deliver(example("enrollment_created"), to="enrollment_updated") == []
    (entry,) = scripted_dead_letters.entries
    reason = entry["MessageAttributes"]["reason"]["StringValue"]
    assert reason.startswith("enrollment_updated: the message is another event")
    assert dynamodb.requests == []


def test_an_event_that_can_never_succeed_is_dead_lettered_as_it_came(dynamodb, deliver, scripted_dead_letters, output):
    # WHEN an event without a time arrives
    message = without(example("sis_batch_created"), "metadata", "event_time")
    assert deliver(message, to="sis_batch_created") == []

    # THEN it is in the dead-letter queue with the event, the field and the rule
    (entry,) = scripted_dead_letters.entries
    assert json.loads(entry["MessageBody"]) == on_the_bus(message, "sis_batch_created")
    assert {name: value["StringValue"] for name, value in entry["MessageAttributes"].items()} == {
        "error": "RejectedEvent",
        "reason": "sis_batch_created: metadata.event_time is missing, so the event cannot be ordered",
    }

    # AND it is counted, and nothing is written
    assert output.metrics() == {"event_name": "sis_batch_created", "Rejected": 1}
    assert dynamodb.requests == []


class PanicException(BaseException):
    """What pydynox raises if its core panics."""


@pytest.mark.parametrize("failure", [KeyError("Isaac"), SystemExit("Isaac"), PanicException("Isaac")])
def test_one_bad_message_never_disturbs_its_neighbours(
    dynamodb, deliver, scripted_dead_letters, output, batch, monkeypatch, failure
):
    # GIVEN a batch of one invalid, one failing and eight good messages
    invalid, failing, *good = enrollments(range(1, 11), event_time=ago(minutes=1))
    invalid["body"]["course_id"] = "Isaac"
    apply = batch["Table"].apply

    def apply_or_raise(table, change):
        if change.key == {"enrollment_id": "2"}:
            raise failure
        return apply(table, change)

    monkeypatch.setattr(batch["Table"], "apply", apply_or_raise)

    # WHEN it is delivered, THEN the failing message is reported for retry
    assert deliver(*good[:4], invalid, *good[4:], failing) == ["message-9"]

    # AND the invalid one is dead-lettered, and the good ones are written
    (entry,) = scripted_dead_letters.entries
    assert entry["MessageAttributes"]["reason"]["StringValue"] == INVALID_COURSE
    assert {request["Key"]["enrollment_id"]["S"] for request in dynamodb.requests} == set(map(str, range(3, 11)))

    # AND all are counted, with the lag of those that are done
    (log,), metrics = output.read()
    assert metrics.pop("EventLag") == pytest.approx(8 * 60_000, rel=0.3)
    assert metrics == {"event_name": "enrollment_created", "Applied": 8, "Rejected": 1, "Retried": 1}

    # AND one line says how many failed and why, with no value of theirs
    assert (log["rejected"], log["retried"]) == ({INVALID_COURSE: 1}, {type(failure).__name__: 1})
    assert "Isaac" not in str(log)


def test_a_failure_of_dynamodb_is_neither_stale_nor_swallowed(dynamodb, deliver, output):
    # GIVEN a DynamoDB without the table
    dynamodb.answers = [error("ResourceNotFoundException")]

    # WHEN an event arrives, THEN it is reported for retry, and nothing else is counted
    assert deliver(example("enrollment_created")) == ["message-0"]
    (log,), metrics = output.read()
    assert metrics == {"event_name": "enrollment_created", "Retried": 1}
    assert log["retried"] == {"ResourceNotFoundException": 1}


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_an_empty_batch_is_done(dynamodb, deliver):
    assert deliver(to="enrollment_created") == []
    assert dynamodb.requests == []


def test_a_request_to_dynamodb_ends_after_three_attempts_of_a_second(monkeypatch):
    # GIVEN a client that is made when a function starts
    made = []
    monkeypatch.setattr(pydynox, "DynamoDBClient", lambda **settings: made.append(settings))

    # WHEN the functions are loaded, THEN they share one, which ends well before the function's time
    load_handlers("http://127.0.0.1:9")
    assert made == [{"connect_timeout": 1, "read_timeout": 1, "max_retries": 3}]


def test_the_client_of_dynamodb_logs_errors_only(handlers):
    assert logging.getLogger("pydynox").level == logging.ERROR
