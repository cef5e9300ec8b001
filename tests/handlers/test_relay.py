"""The relay, from the front-door queue to a bus."""

import json
from importlib import import_module

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from tests.canvas import EVENT_NAMES, at_the_front_door, example
from tests.context import FunctionContext


@pytest.fixture
def relay():
    return import_module("functions.relay.handler")


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


@pytest.fixture
def put_events(relay, monkeypatch):
    """A bus that answers as told, and what it was asked. Moto's takes everything: it cannot refuse an entry."""
    answers, asked = [], []

    class Bus:
        def put_events(self, *, Entries):  # noqa: N803 - botocore's name
            asked.append(Entries)
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return {"FailedEntryCount": sum("ErrorCode" in a for a in answer), "Entries": answer}

    monkeypatch.setattr(relay, "_events", Bus())
    return answers, asked


def failed(result):
    return [failure["itemIdentifier"] for failure in result["batchItemFailures"]]


def test_a_batch_of_all_six_reaches_the_bus(relay, bus, output):
    # WHEN the six examples come in one batch
    batch = at_the_front_door(*(json.dumps(example(name)) for name in EVENT_NAMES))
    result = relay.handler(batch, FunctionContext())

    # THEN all are on the bus, without their secrets, and none is delivered again
    assert failed(result) == []
    received = bus()
    assert sorted(event["detail-type"] for event in received) == sorted(EVENT_NAMES)
    assert {event["source"] for event in received} == {"canvas"}
    assert "agJdJdaSLJfJULBa2803" not in json.dumps(received)
    assert output.metrics() == {"Forwarded": 6}


def test_events_that_no_function_takes_are_counted_and_dropped(relay, bus, output):
    message = {"metadata": {"event_name": "course_created", "event_time": "2025-01-01T00:00:00Z"}, "body": {}}
    assert failed(relay.handler(at_the_front_door(json.dumps(message)), FunctionContext())) == []
    assert bus() == []
    assert output.metrics() == {"Ignored": 1}


def test_the_setting_forwards_all(relay, bus, monkeypatch):
    monkeypatch.setattr(relay, "_forwards_all", True)
    message = {"metadata": {"event_name": "course_created"}, "body": {}}
    relay.handler(at_the_front_door(json.dumps(message)), FunctionContext())
    assert [event["detail-type"] for event in bus()] == ["course_created"]


def test_what_cannot_be_read_stays_on_the_queue_and_blocks_nothing(relay, bus, output):
    # GIVEN a batch with a message that is not JSON
    batch = at_the_front_door("hunter2{", json.dumps(example("sis_batch_created")))

    # WHEN it is relayed
    result = relay.handler(batch, FunctionContext())

    # THEN exactly that one is delivered again, and the log says why without showing it
    assert failed(result) == ["message-0"]
    assert len(bus()) == 1
    written = "\n".join(output.lines())
    assert "Front-door message is not JSON" in written
    assert "docs/operations.md#unreadable-messages" in written
    assert "hunter2" not in written


def test_an_entry_that_the_bus_did_not_take_is_a_failure(relay, put_events, output):
    # GIVEN a bus that takes two of three entries
    answers, asked = put_events
    answers.append([{"EventId": "1"}, {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow"}, {"EventId": "3"}])

    # WHEN a batch of three is relayed
    batch = at_the_front_door(*(json.dumps(example(name)) for name in EVENT_NAMES[:3]))
    result = relay.handler(batch, FunctionContext())

    # THEN it was one call, and exactly the second message is delivered again
    assert [len(entries) for entries in asked] == [3]
    assert failed(result) == ["message-1"]
    assert output.metrics() == {"Forwarded": 2, "ForwardFailed": 1}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EndpointConnectionError(endpoint_url="https://events"), "EndpointConnectionError"),
        (
            boto3.client("events").exceptions.ClientError({"Error": {"Code": "InternalException"}}, "PutEvents"),
            "Internal",
        ),
    ],
)
def test_a_call_that_failed_gives_back_its_messages_only(relay, put_events, output, error, code):
    # GIVEN a batch too large for one call, of which the second call fails
    answers, asked = put_events
    answers += [[{"EventId": "1"}], error]
    large = example("enrollment_created", body={"user_name": "x" * 140_000})

    # WHEN it is relayed
    result = relay.handler(at_the_front_door(json.dumps(large), json.dumps(large)), FunctionContext())

    # THEN the first message is done, the second comes again, and the log says why
    assert len(asked) == 2
    assert failed(result) == ["message-1"]
    assert code in "\n".join(output.lines())


def test_an_empty_batch_asks_nothing_of_the_bus(relay, put_events):
    assert failed(relay.handler({"Records": []}, FunctionContext())) == []
