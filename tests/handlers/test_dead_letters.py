"""Dead-lettering, which the event functions and the relay share: what is sent, and what happens if that fails."""

from importlib import import_module

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from functions import dead_letters as module
from functions.canvas.rejection import RejectedEvent
from functions.dead_letters import MAX_REQUEST_BYTES, Failures
from tests.canvas import retried, sqs_batch
from tests.context import FunctionContext

REASONS = {
    "sis_batch_created": "sis_batch_created: the message is invalid: Invalid JSON: expected value at line 1 column 1",
    "relay": "the message is not JSON",
}


@pytest.fixture(params=REASONS)
def function(request, handlers):
    """Both users of dead-lettering."""
    return request.param, handlers.get(request.param) or import_module("functions.handlers.relay").handler


@pytest.fixture
def deliver_bodies(function, output):
    """Deliver messages with these bodies in one batch; the ids of those that are reported for retry."""
    return lambda *bodies: retried(function[1](sqs_batch(*bodies), FunctionContext()))


def test_rejected_messages_are_dead_lettered_as_they_came_with_error_and_reason(
    function, deliver_bodies, dead_letters, output
):
    # WHEN two messages arrive that are not JSON
    assert deliver_bodies("hunter2{", "héllo") == []

    # THEN both are in the dead-letter queue, unchanged, with the reason
    error = "UnreadableMessage" if function[0] == "relay" else "RejectedEvent"
    received = dead_letters()
    assert [message["Body"] for message in received] == ["hunter2{", "héllo"]
    for message in received:
        attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
        assert attributes == {"error": error, "reason": REASONS[function[0]]}

    # AND the log counts the reason and holds nothing of the messages
    (line,), metrics = output.read()
    assert line["level"] == "ERROR"
    assert line["message"] == "Messages failed; see docs/operations.md#failed-messages"
    assert (line["rejected"], line["retried"]) == ({REASONS[function[0]]: 2}, {})
    assert metrics["Rejected"] == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ClientError({"Error": {"Code": "AccessDenied"}}, "SendMessageBatch"), "AccessDenied"),
        (ReadTimeoutError(endpoint_url="https://sqs"), "ReadTimeoutError"),
        (KeyError("unforeseen"), "KeyError"),
    ],
)
def test_where_dead_lettering_fails_the_messages_are_retried(
    deliver_bodies, scripted_dead_letters, output, error, code
):
    # GIVEN a dead-letter queue that cannot be reached
    scripted_dead_letters.error = error

    # WHEN two messages are rejected, THEN both are retried, and counted as that only: they are not rejected yet
    assert deliver_bodies("a", "b") == ["message-0", "message-1"]
    (line,), metrics = output.read()
    assert (line["rejected"], line["retried"]) == ({}, {code: 2})
    assert (metrics.get("Rejected"), metrics["Retried"]) == (None, 2)


def test_where_dead_lettering_fails_in_part_only_that_part_is_retried(deliver_bodies, scripted_dead_letters, output):
    # GIVEN a dead-letter queue that refuses the first and the third entry
    scripted_dead_letters.refused = frozenset({"0", "2"})

    # WHEN three messages are rejected, THEN those two are retried, and the other is counted as rejected
    assert deliver_bodies("a", "b", "c") == ["message-0", "message-2"]
    metrics = output.metrics()
    assert (metrics["Rejected"], metrics["Retried"]) == (1, 2)


def test_what_does_not_fit_one_request_is_retried(function, deliver_bodies, scripted_dead_letters, output):
    # GIVEN messages that fill one request to its last byte, their attributes included
    room = MAX_REQUEST_BYTES - 2 * (len(REASONS[function[0]]) + 64)
    fitting = ["é" * (room // 4), "x" * (room - room // 4 * 2)]

    # WHEN they arrive with one more, THEN they are dead-lettered in one request, and the one more is retried
    assert deliver_bodies(*fitting, "y") == ["message-2"]
    sent = scripted_dead_letters.entries.copy()
    assert [entry["MessageBody"] for entry in sent] == fitting
    (line,), _ = output.read()
    assert line["retried"] == {"DeadLetterRequestFull": 1}

    # AND a byte more than fits is retried, until it has the request for itself
    assert deliver_bodies(fitting[0], fitting[1] + "x") == ["message-1"]
    assert deliver_bodies(fitting[1] + "x") == []

    # AND the size of the request, as SQS counts it, is within the limit
    assert sum(map(size, sent)) <= MAX_REQUEST_BYTES


def test_a_message_that_is_too_large_for_any_request_disturbs_no_other(deliver_bodies, scripted_dead_letters, output):
    # GIVEN a message that does not fit with its attributes, before one that does
    assert deliver_bodies("x" * MAX_REQUEST_BYTES, "a") == ["message-0"]
    assert [entry["MessageBody"] for entry in scripted_dead_letters.entries] == ["a"]


def size(entry):
    """Bytes of a message. Source: Amazon SQS developer guide, "Message attribute components"."""
    attributes = entry["MessageAttributes"].items()
    values = (name + value["DataType"] + value["StringValue"] for name, value in attributes)
    return len(entry["MessageBody"].encode()) + len("".join(values))


def test_a_reason_is_ascii_and_at_most_a_kilobyte(scripted_dead_letters, output):
    # GIVEN a message that is rejected for a long reason in many letters
    failures = Failures()
    (message,) = sqs_batch("{}")["Records"]
    failures.reject(message, RejectedEvent("é" * 2000))

    # WHEN it is dead-lettered, THEN SQS can take the reason
    failures.report()
    (entry,) = scripted_dead_letters.entries
    assert entry["MessageAttributes"]["reason"] == {"DataType": "String", "StringValue": "?" * 1024}


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_the_client_is_made_when_the_first_message_is_rejected(request, deliver_bodies, dead_letters, monkeypatch):
    # GIVEN an environment that has rejected nothing
    made = []
    monkeypatch.setattr(module, "aws_client", lambda service: made.append(service) or boto3.client(service))
    module._sqs.cache_clear()
    request.addfinalizer(module._sqs.cache_clear)
    deliver_bodies()
    assert made == []

    # WHEN messages are rejected, THEN one client serves all invocations
    deliver_bodies("a")
    deliver_bodies("b")
    assert made == ["sqs"]
