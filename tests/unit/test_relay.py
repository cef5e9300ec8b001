"""What the relay forwards from the ingestion queue to the event bus, drops, dead-letters and retries."""

import json
import sys
from importlib import import_module
from unittest.mock import DEFAULT, Mock

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from testbed.events import EVENT_NAMES, example, retried, sqs_batch
from testbed.lambda_context import FunctionContext

MAX_EVENT_BYTES = 24 * 1024
MAX_REQUEST_BYTES = 256 * 1024
"""Of one PutEvents. Source: EventBridge user guide, "Calculating PutEvents event entry size"."""

NOT_A_NUMBER = "the message holds a number that is not JSON (NaN, Infinity or too large)"


@pytest.fixture
def module():
    return import_module("functions.handlers.relay")


@pytest.fixture
def relay(module):
    """Relay messages with these bodies in one batch; the ids of those that are reported for retry."""
    return lambda *bodies: retried(module.handler(sqs_batch(*bodies), FunctionContext()))


def body(event_name="enrollment_created", **parts):
    """The documented message as text."""
    return json.dumps(example(event_name, **parts))


def test_a_batch_of_all_six_is_one_request_with_the_bodies_that_canvas_sent(relay, scripted_bus, output):
    # WHEN the six examples come in one batch
    assert relay(*map(body, EVENT_NAMES)) == []

    # THEN they are for the bus of the stage, from Canvas, each by its name
    (entries,) = scripted_bus.requests
    assert {(entry["EventBusName"], entry["Source"]) for entry in entries} == {("canvas-live-events-test", "canvas")}
    assert [entry["DetailType"] for entry in entries] == EVENT_NAMES
    assert [json.loads(entry["Detail"])["body"] for entry in entries] == [example(name)["body"] for name in EVENT_NAMES]
    assert output.metrics() == {"Forwarded": 6}


def test_of_the_metadata_only_what_identifies_orders_and_traces_an_event_is_forwarded(relay, scripted_bus):
    # GIVEN an event with all of it, and with a token
    forwarded = {
        "event_name": "enrollment_created",
        "event_time": "2018-10-09T21:07:33Z",
        "root_account_id": "21070000000000001",
        "producer": "canvas",
        "request_id": "1dd9dc6f-2fb0-4c19-a6c5-7ee1bf3ed295",
        "job_id": "1020020528469291",
    }
    message = {"metadata": forwarded | {"url": "https://canvas/?access_token=hunter2"}, "body": {"user_name": "Isaac"}}

    # WHEN it is relayed, THEN the token is dropped
    relay(json.dumps(message))
    ((entry,),) = scripted_bus.requests
    assert entry["Detail"] == json.dumps({"metadata": forwarded, "body": {"user_name": "Isaac"}})


def test_metadata_named_attributes_is_forwarded_as_metadata(relay, scripted_bus):
    message = example("enrollment_created")
    message["attributes"] = message.pop("metadata")
    assert relay(json.dumps(message)) == []
    assert scripted_bus.requests[0][0]["DetailType"] == "enrollment_created"
    assert json.loads(scripted_bus.requests[0][0]["Detail"]).keys() == {"metadata", "body"}


def test_events_that_no_function_takes_are_counted_and_dropped_however_large(relay, scripted_bus, output):
    message = {"metadata": {"event_name": "course_created"}, "body": {"syllabus": "x" * 100_000, "grade": float("nan")}}
    assert relay(json.dumps(message)) == []
    assert scripted_bus.requests == []
    assert output.metrics() == {"Ignored": 1}


@pytest.mark.parametrize(
    ("root_account_id", "counted"),
    [
        ("21070000000000001", "Forwarded"),
        (21080000000000079, "Forwarded"),
        ("21090000000000001", "Foreign"),
        ("1", "Foreign"),
        (None, "Forwarded"),
        ("", "Forwarded"),
        ({"id": "21090000000000001"}, "Forwarded"),
    ],
)
def test_an_event_is_foreign_by_its_shard_only(module, monkeypatch, scripted_bus, output, root_account_id, counted):
    # GIVEN the relay of a stage whose schools are on two shards
    monkeypatch.setenv("ROOT_ACCOUNT_IDS", "21070000000000001 21080000000000001")
    monkeypatch.setattr("functions.runtime.aws_client", lambda _: scripted_bus)
    monkeypatch.delitem(sys.modules, module.__name__)
    of_two_schools = import_module(module.__name__)

    # WHEN an event arrives, THEN it is dropped if its root account is of another shard
    message = body(metadata={"root_account_id": root_account_id})
    assert retried(of_two_schools.handler(sqs_batch(message), FunctionContext())) == []
    assert output.metrics() == {counted: 1}
    assert len(scripted_bus.requests) == (counted == "Forwarded")


def test_without_root_accounts_no_event_is_foreign(relay, scripted_bus, output):
    relay(body(metadata={"root_account_id": "21090000000000001"}))
    assert output.metrics() == {"Forwarded": 1}


@pytest.mark.parametrize(
    ("unreadable", "reason"),
    [
        ("hunter2{", "the message is not JSON"),
        ("[" * 100_000, "the message is nested too deeply to be read"),
        (body(body={"n": float("nan")}), NOT_A_NUMBER),
        (body(body={"n": float("-inf")}), NOT_A_NUMBER),
        (body(body={"n": 0}).replace('"n": 0', '"n": 1e400'), NOT_A_NUMBER),
        (body(metadata={"job_id": float("inf")}), NOT_A_NUMBER),
        (body(body={"n": "x" * 24 * 1024}), "the message is larger than the 24576 bytes that an event may have"),
    ],
)
def test_what_can_never_be_forwarded_is_dead_lettered_at_once(
    relay, scripted_bus, scripted_dead_letters, output, unreadable, reason
):
    # GIVEN a batch with an unreadable message among two that are not
    batch = (body(), unreadable, body("sis_batch_created"))

    # WHEN it is relayed, THEN its neighbours are forwarded, and nothing is retried
    assert relay(*batch) == []
    assert len(scripted_bus.requests[0]) == 2
    assert output.metrics() == {"Forwarded": 2, "Rejected": 1}

    # AND it is in the dead-letter queue as it came, with the reason
    (entry,) = scripted_dead_letters.entries
    assert entry["MessageBody"] == unreadable
    assert entry["MessageAttributes"]["error"]["StringValue"] == "UnreadableMessage"
    assert entry["MessageAttributes"]["reason"]["StringValue"] == reason


def test_what_is_not_forwarded_need_not_be_valid(relay, scripted_bus):
    # GIVEN an event whose metadata is large, and has a number that is not JSON, where we do not read it
    message = body(metadata={"url": "x" * 24 * 1024, "developer_key_id": float("nan")})

    # WHEN it is relayed, THEN it is forwarded
    assert relay(message) == []
    assert len(scripted_bus.requests) == 1


def test_ten_events_of_the_greatest_size_fit_one_request(relay, scripted_bus, scripted_dead_letters):
    # GIVEN an event of the greatest size that is forwarded, in the longest characters
    relay(body(body={"user_name": ""}))
    room = MAX_EVENT_BYTES - len(scripted_bus.requests.pop()[0]["Detail"])
    user_name = "\N{GRINNING FACE}" * (room // 12) + "x" * (room % 12)
    largest = body(body={"user_name": user_name})

    # WHEN ten of them are relayed, THEN their request is within the limit, as EventBridge counts it
    assert relay(*[largest] * 10) == []
    (entries,) = scripted_bus.requests
    assert {len(entry["Detail"]) for entry in entries} == {MAX_EVENT_BYTES}
    assert sum(len(entry[part]) for entry in entries for part in ("Source", "DetailType", "Detail")) < MAX_REQUEST_BYTES

    # AND an event that is one byte larger is not forwarded
    relay(body(body={"user_name": user_name + "x"}))
    assert len(scripted_bus.requests) == len(scripted_dead_letters.entries) == 1


def test_an_entry_that_the_bus_did_not_accept_is_retried(relay, scripted_bus, output):
    # GIVEN a bus that accepts two of three entries
    refused = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow"}
    scripted_bus.answers.append([{"EventId": "1"}, refused, {"EventId": "3"}])

    # WHEN a batch of three is relayed, THEN exactly the second message is retried, by the code of the bus
    assert relay(*map(body, EVENT_NAMES[:3])) == ["message-1"]
    (line,), metrics = output.read()
    assert line["retried"] == {"ThrottlingException": 1}
    assert metrics == {"Forwarded": 2, "Retried": 1}


def test_what_the_bus_can_never_accept_is_dead_lettered(relay, scripted_bus, scripted_dead_letters, output):
    # GIVEN an event whose numbers EventBridge cannot read
    scripted_bus.answers.append([{"EventId": "1"}, {"ErrorCode": "MalformedDetail", "ErrorMessage": "hunter2"}])

    # WHEN it is relayed beside another, THEN it is not delivered again and again
    assert relay(body(), body()) == []
    (entry,) = scripted_dead_letters.entries
    assert entry["MessageAttributes"]["reason"]["StringValue"] == "the event bus cannot read the message"
    assert output.metrics() == {"Forwarded": 1, "Rejected": 1}


def test_an_error_that_nobody_foresaw_is_a_retry_and_disturbs_no_other_message(
    relay, scripted_bus, module, monkeypatch, output
):
    # GIVEN a fault of our own that shows in one message
    monkeypatch.setattr(module, "_entry", Mock(wraps=module._entry, side_effect=[KeyError, DEFAULT]))

    # WHEN it is relayed beside another, THEN that one is forwarded, and the first is delivered again
    assert relay(body(), body()) == ["message-0"]
    (line,), metrics = output.read()
    assert line["retried"] == {"KeyError": 1}
    assert metrics == {"Forwarded": 1, "Retried": 1}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EndpointConnectionError(endpoint_url="https://events"), "EndpointConnectionError"),
        (ReadTimeoutError(endpoint_url="https://events"), "ReadTimeoutError"),
        (ClientError({"Error": {"Code": "InternalException"}}, "PutEvents"), "InternalException"),
    ],
)
def test_where_the_bus_fails_all_that_is_for_it_is_retried(
    relay, scripted_bus, scripted_dead_letters, output, error, code
):
    # GIVEN a bus that cannot be reached
    scripted_bus.answers.append(error)

    # WHEN a batch is relayed, THEN its readable messages are retried, and the unreadable one is dead-lettered
    assert relay(body(), "hunter2{", body()) == ["message-0", "message-2"]
    assert len(scripted_dead_letters.entries) == 1
    (line,), _ = output.read()
    assert (line["rejected"], line["retried"]) == ({"the message is not JSON": 1}, {code: 2})


def test_an_answer_that_does_not_say_what_became_of_every_event_fails_the_whole_batch(relay, scripted_bus):
    # GIVEN a bus that answers for one of two events
    scripted_bus.answers.append([{"EventId": "1"}])

    # WHEN they are relayed, THEN Lambda delivers both again
    with pytest.raises(ValueError, match="shorter"):
        relay(body(), body())


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_an_empty_batch_asks_nothing_of_the_bus(relay, scripted_bus):
    assert relay() == []
    assert scripted_bus.requests == []
