"""The relay, from the ingestion queue to an event bus with rules."""

import json
from importlib import import_module
from typing import TYPE_CHECKING

import boto3
import pytest

from testbed.events import EVENT_NAMES, example, retried, sqs_batch
from testbed.lambda_context import FunctionContext

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import TargetTypeDef


@pytest.fixture
def bus(aws):
    """Event bus with a rule that sends all events to a queue. Returns a function that receives them."""
    events, sqs = boto3.client("events"), boto3.client("sqs")
    events.create_event_bus(Name="canvas-live-events-test")
    queue = sqs.create_queue(QueueName="everything")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    everything = json.dumps({"source": ["canvas"]})
    events.put_rule(Name="everything", EventBusName="canvas-live-events-test", EventPattern=everything)
    targets: list[TargetTypeDef] = [{"Id": "queue", "Arn": arn}]
    events.put_targets(Rule="everything", EventBusName="canvas-live-events-test", Targets=targets)

    def received():
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]

    return received


def test_a_batch_of_all_six_reaches_the_bus(bus, monkeypatch):
    # GIVEN a client that moto patches, since it is created after the import of moto
    relay = import_module("functions.handlers.relay")
    monkeypatch.setattr(relay, "_events", boto3.client("events"))

    # WHEN the six examples are delivered in one batch
    batch = sqs_batch(*(json.dumps(example(name)) for name in EVENT_NAMES))
    assert retried(relay.handler(batch, FunctionContext())) == []

    # THEN all are on the bus with their original bodies
    received = bus()
    assert sorted(event["detail-type"] for event in received) == sorted(EVENT_NAMES)
    assert all(event["detail"]["body"] == example(event["detail-type"])["body"] for event in received)
