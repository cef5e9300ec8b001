"""The relay, from the ingestion queue to the event bus."""

import json
import sys
from importlib import import_module
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.canvas import EVENT_NAMES, example, retried, sqs_batch
from tests.context import FunctionContext

MAX_REQUEST_BYTES = 256 * 1024
"""Of one PutEvents. Source: EventBridge user guide, "Calculating PutEvents event entry size"."""


@pytest.fixture
def module():
    return import_module("functions.handlers.relay")


@pytest.fixture
def relay(module):
    """Relay messages with these bodies in one batch; the ids of those that are reported for retry."""
    return lambda *bodies: retried(module.handler(sqs_batch(*bodies), FunctionContext()))


@pytest.fixture
def bus(aws):
    """A bus whose every event lands in a queue: the messages that it holds."""
    events, sqs = boto3.client("events"), boto3.client("sqs")
    events.create_event_bus(Name="canvas-live-events-test")
    queue = sqs.create_queue(QueueName="everything")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = {"Name": "everything", "EventBusName": "canvas-live-events-test"}
    events.put_rule(**rule, EventPattern=json.dumps({"source": ["canvas"]}))
    events.put_targets(Rule="everything", EventBusName=rule["EventBusName"], Targets=[{"Id": "queue", "Arn": arn}])

    def received():
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]

    return received


def body(event_name="enrollment_created", **parts):
    """The documented message as text."""
    return json.dumps(example(event_name, **parts))


def test_a_batch_of_all_six_reaches_the_bus_in_one_request(relay, bus, module, monkeypatch, output):
    # WHEN the six examples come in one batch
    monkeypatch.setattr(module, "_events", Mock(wraps=module._events))
    assert relay(*map(body, EVENT_NAMES)) == []

    # THEN all are on the bus with the body that Canvas sent, after one request
    received = bus()
    assert sorted(event["detail-type"] for event in received) == sorted(EVENT_NAMES)
    assert all(event["detail"]["body"] == example(event["detail-type"])["body"] for event in received)
    assert module._events.put_events.call_count == 1
    assert output.metrics() == {"Forwarded": 6}


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
    monkeypatch.delitem(sys.modules, module.__name__)
    of_two_schools = import_module(module.__name__)
    monkeypatch.setattr(of_two_schools, "_events", module._events)

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
        ('{"n": ' + "1" * 5000 + "}", "the message is not JSON"),
        ('"hunter2"', "the message is not a JSON object"),
        ("{}", "the message has no metadata, so it is not a Canvas live event"),
        ('{"metadata": {"event_name": 7}}', "the message has no event_name that could name an event in its metadata"),
        ('{"sensor": 1, "dataVersion": 1, "data": 1}', "the message is in the Caliper format: set the subscription's"),
        ("[" * 100_000, "the message is nested too deeply to be read"),
        (body(body={"n": float("nan")}), "the message holds a number that is not JSON (NaN, Infinity or too large)"),
        (body(body={"n": float("-inf")}), "the message holds a number that is not JSON"),
        (body(body={"n": 0}).replace('"n": 0', '"n": 1e400'), "the message holds a number that is not JSON"),
        (body(metadata={"job_id": float("inf")}), "the message holds a number that is not JSON"),
        (body(body={"n": "x" * 24 * 1024}), "the message is larger than the 24576 bytes that an event may have"),
    ],
)
def test_what_can_never_be_forwarded_is_dead_lettered_at_once(
    relay, scripted_bus, dead_letters, output, unreadable, reason
):
    # GIVEN a batch with an unreadable message among two that are not
    batch = (body(), unreadable, body("sis_batch_created"))

    # WHEN it is relayed, THEN its neighbours are forwarded, and nothing is retried
    assert relay(*batch) == []
    assert len(scripted_bus.requests[0]) == 2
    assert output.metrics() == {"Forwarded": 2, "Rejected": 1}

    # AND it is in the dead-letter queue as it came, with the reason
    (dead_letter,) = dead_letters()
    assert dead_letter["Body"] == unreadable
    assert dead_letter["MessageAttributes"]["error"]["StringValue"] == "UnreadableMessage"
    assert dead_letter["MessageAttributes"]["reason"]["StringValue"].startswith(reason)


def test_what_is_not_forwarded_need_not_be_valid(relay, scripted_bus):
    # GIVEN an event whose metadata is large, and has a number that is not JSON, where we do not read it
    message = body(metadata={"url": "x" * 24 * 1024, "developer_key_id": float("nan")})

    # WHEN it is relayed, THEN it is forwarded
    assert relay(message) == []
    assert len(scripted_bus.requests) == 1


def test_ten_events_of_the_greatest_size_fit_one_request(relay, scripted_bus, dead_letters, module):
    # GIVEN an event of the greatest size that is forwarded, in the longest characters
    relay(body(body={"user_name": ""}))
    room = module.MAX_EVENT_BYTES - len(scripted_bus.requests.pop()[0]["Detail"])
    user_name = "\N{GRINNING FACE}" * (room // 12) + "x" * (room % 12)
    largest = body(body={"user_name": user_name})

    # WHEN ten of them are relayed, THEN their request is within the limit, as EventBridge counts it
    assert relay(*[largest] * 10) == []
    (entries,) = scripted_bus.requests
    assert {len(entry["Detail"]) for entry in entries} == {module.MAX_EVENT_BYTES}
    assert sum(len(entry[part]) for entry in entries for part in ("Source", "DetailType", "Detail")) < MAX_REQUEST_BYTES

    # AND an event that is one byte larger is not forwarded
    relay(body(body={"user_name": user_name + "x"}))
    assert len(scripted_bus.requests) == len(dead_letters()) == 1


def test_an_entry_that_the_bus_did_not_accept_is_retried(relay, scripted_bus, output):
    # GIVEN a bus that accepts two of three entries
    refused = {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow"}
    scripted_bus.answers.append([{"EventId": "1"}, refused, {"EventId": "3"}])

    # WHEN a batch of three is relayed, THEN exactly the second message is retried, by the code of the bus
    assert relay(*map(body, EVENT_NAMES[:3])) == ["message-1"]
    (line,), metrics = output.read()
    assert line["retried"] == {"ThrottlingException": 1}
    assert metrics == {"Forwarded": 2, "Retried": 1}


def test_what_the_bus_can_never_accept_is_dead_lettered(relay, scripted_bus, dead_letters, output):
    # GIVEN an event whose numbers EventBridge cannot read
    scripted_bus.answers.append([{"EventId": "1"}, {"ErrorCode": "MalformedDetail", "ErrorMessage": "hunter2"}])

    # WHEN it is relayed beside another, THEN it is not delivered again and again
    assert relay(body(), body()) == []
    (letter,) = dead_letters()
    assert letter["MessageAttributes"]["reason"]["StringValue"] == "the event bus cannot read the message"
    assert output.metrics() == {"Forwarded": 1, "Rejected": 1}


def test_an_error_that_nobody_foresaw_is_a_retry_and_disturbs_no_other_message(
    relay, scripted_bus, module, monkeypatch, output
):
    # GIVEN a fault of our own that shows in one message
    entry, messages = module._entry, iter(["fails", "passes"])
    monkeypatch.setattr(module, "_entry", lambda envelope: entry(envelope) if next(messages) == "passes" else {}["x"])

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
def test_where_the_bus_fails_all_that_is_for_it_is_retried(relay, scripted_bus, dead_letters, output, error, code):
    # GIVEN a bus that cannot be reached
    scripted_bus.answers.append(error)

    # WHEN a batch is relayed, THEN its readable messages are retried, and the unreadable one is dead-lettered
    assert relay(body(), "hunter2{", body()) == ["message-0", "message-2"]
    assert len(dead_letters()) == 1
    (line,), _ = output.read()
    assert (line["rejected"], line["retried"]) == ({"the message is not JSON": 1}, {code: 2})


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_an_empty_batch_asks_nothing_of_the_bus(relay, scripted_bus):
    assert relay() == []
    assert scripted_bus.requests == []
