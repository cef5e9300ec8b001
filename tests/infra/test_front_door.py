"""The front door: Canvas may deliver, nobody may do more, and nothing is lost."""

import pytest

from tests.templates import of_type


@pytest.fixture(scope="module")
def queue(prod):
    ((logical_id, queue),) = (
        (logical_id, properties)
        for logical_id, properties in of_type(prod.processing, "AWS::SQS::Queue").items()
        if "QueueName" in properties
    )
    return queue | {"LogicalId": logical_id}


def test_its_name_is_one_that_canvas_takes(queue):
    assert queue["QueueName"] == "canvas-live-events-prod"
    assert "FifoQueue" not in queue


def test_its_policy_admits_one_account_one_action_and_tls_only(prod, queue):
    (policy,) = (
        properties["PolicyDocument"]["Statement"]
        for properties in of_type(prod.processing, "AWS::SQS::QueuePolicy").values()
        if properties["Queues"] == [{"Ref": queue["LogicalId"]}]
    )
    arn = {"Fn::GetAtt": [queue["LogicalId"], "Arn"]}
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


def test_what_is_not_relayed_goes_to_its_dead_letter_queue(queue):
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 5


def test_a_message_stays_hidden_long_enough_for_the_relay(prod, queue):
    timeouts = {function["Timeout"] for function in of_type(prod.processing, "AWS::Lambda::Function").values()}
    assert queue["VisibilityTimeout"] == 6 * max(timeouts)


def test_the_relay_takes_ten_and_says_which_failed(prod):
    (mapping,) = of_type(prod.processing, "AWS::Lambda::EventSourceMapping").values()
    assert mapping["BatchSize"] == 10
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_every_queue_is_encrypted_and_keeps_two_weeks(prod):
    queues = of_type(prod.processing, "AWS::SQS::Queue").values()
    assert len(queues) == 14
    for each in queues:
        assert each["SqsManagedSseEnabled"] is True
        assert each["MessageRetentionPeriod"] == 14 * 24 * 3600
