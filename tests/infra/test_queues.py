"""Queues: only Canvas may send, failed messages are retried for a day, and dead-lettered messages are kept."""

import math

import pytest

from infra.settings import FUNCTION_TIMEOUT_SECONDS
from testbed.stacks import PROD
from tests.infra.templates import arn_of, ingestion_queue, of_type

DAY = 24 * 3600


@pytest.fixture(scope="module")
def queues(prod):
    return of_type(prod.pipeline, "AWS::SQS::Queue")


@pytest.fixture(scope="module")
def sources(queues):
    """Queues that a function consumes."""
    return {logical_id: queue for logical_id, queue in queues.items() if "RedrivePolicy" in queue}


def test_the_ingestion_queue_has_a_name_that_canvas_accepts(prod, queues):
    queue = queues[ingestion_queue(prod.pipeline)]
    assert queue["QueueName"] == "canvas-live-events-prod"
    assert "FifoQueue" not in queue


def test_the_ingestion_queue_admits_one_account_one_action_and_tls_only(prod):
    logical_id = ingestion_queue(prod.pipeline)
    (policy,) = (
        properties["PolicyDocument"]["Statement"]
        for properties in of_type(prod.pipeline, "AWS::SQS::QueuePolicy").values()
        if properties["Queues"] == [{"Ref": logical_id}]
    )
    arn = {"Fn::GetAtt": [logical_id, "Arn"]}
    assert policy == [
        {
            "Action": "sqs:*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Resource": arn,
        },
        {
            "Action": "sqs:SendMessage",
            "Effect": "Allow",
            "Principal": {"AWS": {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::636161780776:root"]]}},
            "Resource": arn,
        },
    ]


def test_there_are_seven_queues_and_each_has_a_dead_letter_queue_of_its_own(queues, sources):
    dead_letters = [arn_of(queue["RedrivePolicy"]["deadLetterTargetArn"]) for queue in sources.values()]
    assert len(sources) == len(set(dead_letters)) == 7
    assert sources.keys() | set(dead_letters) == queues.keys()


def test_a_dead_letter_queue_keeps_messages_for_longer_than_the_queue_that_it_serves(queues, sources):
    for logical_id, queue in queues.items():
        assert queue["MessageRetentionPeriod"] == (10 if logical_id in sources else 14) * DAY


def test_every_queue_is_encrypted_admits_tls_only_and_is_polled_long(prod, queues):
    policies = {
        policy["Queues"][0]["Ref"]: policy["PolicyDocument"]["Statement"]
        for policy in of_type(prod.pipeline, "AWS::SQS::QueuePolicy").values()
    }
    for logical_id, queue in queues.items():
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["ReceiveMessageWaitTimeSeconds"] == 20
        (denial,) = (statement for statement in policies[logical_id] if statement["Effect"] == "Deny")
        assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_message_stays_hidden_for_six_timeouts_and_the_batching_window(prod, sources):
    settings = PROD
    timeouts = {function["Timeout"] for function in of_type(prod.pipeline, "AWS::Lambda::Function").values()}
    assert timeouts == {FUNCTION_TIMEOUT_SECONDS}
    for queue in sources.values():
        assert queue["VisibilityTimeout"] == 6 * max(timeouts) + settings.batching_window_seconds


def test_a_message_that_fails_is_retried_for_the_hours_of_the_stage(sources):
    for queue in sources.values():
        receives = queue["RedrivePolicy"]["maxReceiveCount"]
        assert receives == math.ceil(PROD.retry_hours * 3600 / queue["VisibilityTimeout"])
