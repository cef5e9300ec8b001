"""Dead-lettering, which the event functions and the relay share: what is sent, and what happens if that fails."""

from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from functions import dead_letters
from functions.canvas.rejection import RejectedEvent, UnreadableMessage
from functions.dead_letters import Failures
from functions.runtime import metrics
from testbed.events import retried, sqs_batch
from testbed.functions import DeadLetterQueue

ERROR = UnreadableMessage("the message is not JSON")


@pytest.fixture
def reject(output):
    """Reject messages with these bodies in one batch; the ids of those that are reported for retry."""

    def reject(*bodies, error=ERROR):
        failures = Failures()
        for message in sqs_batch(*bodies)["Records"]:
            failures.reject(message, error)
        response = failures.report()
        metrics.flush_metrics()
        return retried(response)

    return reject


def test_rejected_messages_are_sent_as_they_came_with_error_and_reason(reject, scripted_dead_letters, output):
    # WHEN two messages are rejected
    assert reject("hunter2{", "héllo") == []

    # THEN both are in the dead-letter queue of the function, unchanged, with the reason
    attributes = {
        "error": {"DataType": "String", "StringValue": "UnreadableMessage"},
        "reason": {"DataType": "String", "StringValue": "the message is not JSON"},
    }
    assert scripted_dead_letters.urls == ["https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters"]
    assert scripted_dead_letters.entries == [
        {"Id": "0", "MessageBody": "hunter2{", "MessageAttributes": attributes},
        {"Id": "1", "MessageBody": "héllo", "MessageAttributes": attributes},
    ]

    # AND the log counts the reason and holds nothing of the messages
    (line,), counted = output.read()
    assert line["level"] == "ERROR"
    assert line["message"] == "Messages failed; see docs/operations.md#failed-messages"
    assert (line["rejected"], line["retried"]) == ({"the message is not JSON": 2}, {})
    assert counted == {"Rejected": 2}


def test_messages_are_retried_with_the_kind_of_their_failure_in_the_log(output):
    # WHEN three messages fail for two reasons
    failures, records = Failures(), sqs_batch("a", "b", "c")["Records"]
    for message, error in zip(records, ["ThrottlingException", "KeyError", "KeyError"], strict=True):
        failures.retry(message, error)

    # THEN all are delivered again, and the log counts them by reason
    assert retried(failures.report()) == ["message-0", "message-1", "message-2"]
    metrics.flush_metrics()
    (line,), counted = output.read()
    assert (line["rejected"], line["retried"]) == ({}, {"ThrottlingException": 1, "KeyError": 2})
    assert counted == {"Retried": 3}


def test_a_batch_without_failures_sends_and_logs_nothing(scripted_dead_letters, output):
    assert Failures().report() == {"batchItemFailures": []}
    assert (scripted_dead_letters.urls, output.lines()) == ([], [])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ClientError({"Error": {"Code": "AccessDenied"}}, "SendMessageBatch"), "AccessDenied"),
        (ReadTimeoutError(endpoint_url="https://sqs"), "ReadTimeoutError"),
        (KeyError("unforeseen"), "KeyError"),
    ],
)
def test_where_dead_lettering_fails_the_messages_are_retried(reject, scripted_dead_letters, output, error, code):
    # GIVEN a dead-letter queue that cannot be reached
    scripted_dead_letters.error = error

    # WHEN two messages are rejected, THEN both are retried, and counted as that only: they are not rejected yet
    assert reject("a", "b") == ["message-0", "message-1"]
    (line,), counted = output.read()
    assert (line["rejected"], line["retried"]) == ({}, {code: 2})
    assert counted == {"Retried": 2}


def test_where_dead_lettering_fails_in_part_only_that_part_is_retried(reject, scripted_dead_letters, output):
    # GIVEN a dead-letter queue that refuses the first and the third entry
    scripted_dead_letters.refused = frozenset({"0", "2"})

    # WHEN three messages are rejected, THEN those two are retried by its code, and the other is counted as rejected
    assert reject("a", "b", "c") == ["message-0", "message-2"]
    (line,), counted = output.read()
    assert line["retried"] == {"InternalError": 2}
    assert counted == {"Rejected": 1, "Retried": 2}


def test_what_does_not_fit_one_request_is_retried(reject, scripted_dead_letters, output):
    # GIVEN messages that fill one request to its last byte, their attributes included
    room = 1024 * 1024 - 2 * (len(str(ERROR)) + 64)
    fitting = ["é" * (room // 4), "x" * (room - room // 4 * 2)]

    # WHEN they arrive with one more, THEN they are dead-lettered in one request, and the one more is retried
    assert reject(*fitting, "y") == ["message-2"]
    sent = scripted_dead_letters.entries.copy()
    assert [entry["MessageBody"] for entry in sent] == fitting
    (line,), _ = output.read()
    assert line["retried"] == {"DeadLetterRequestFull": 1}

    # AND a byte more than fits is retried, until it has the request for itself
    assert reject(fitting[0], fitting[1] + "x") == ["message-1"]
    assert reject(fitting[1] + "x") == []

    # AND the size of the request, as SQS counts it, is within the limit
    assert sum(map(size, sent)) <= 1024 * 1024


def size(entry):
    """Bytes of a message. Source: Amazon SQS developer guide, "Message attribute components"."""
    attributes = entry["MessageAttributes"].items()
    values = (name + value["DataType"] + value["StringValue"] for name, value in attributes)
    return len(entry["MessageBody"].encode()) + len("".join(values))


def test_a_message_that_is_too_large_for_any_request_disturbs_no_other(reject, scripted_dead_letters):
    assert reject("x" * 1024 * 1024, "a") == ["message-0"]
    assert [entry["MessageBody"] for entry in scripted_dead_letters.entries] == ["a"]


def test_half_a_character_does_not_stop_a_message_from_being_dead_lettered(reject, scripted_dead_letters):
    # GIVEN a body that no encoding can write, WHEN it is rejected, THEN it is for SQS to say so
    assert reject("\ud800") == []
    assert len(scripted_dead_letters.entries) == 1


def test_a_reason_is_ascii_and_at_most_a_kilobyte(reject, scripted_dead_letters):
    reject("{}", error=RejectedEvent("é" * 2000))
    (entry,) = scripted_dead_letters.entries
    assert entry["MessageAttributes"]["error"]["StringValue"] == "RejectedEvent"
    assert entry["MessageAttributes"]["reason"]["StringValue"] == "?" * 1024


def test_the_client_is_made_when_the_first_message_is_rejected(reject, request, monkeypatch):
    # GIVEN an environment that has rejected nothing
    aws_client = Mock(return_value=DeadLetterQueue())
    monkeypatch.setattr(dead_letters, "aws_client", aws_client)
    dead_letters._sqs.cache_clear()
    request.addfinalizer(dead_letters._sqs.cache_clear)
    Failures().report()
    aws_client.assert_not_called()

    # WHEN messages are rejected, THEN one client serves all invocations
    reject("a")
    reject("b")
    aws_client.assert_called_once_with("sqs")
