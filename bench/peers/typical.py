"""What most teams would write: Powertools' Logger, Metrics and parser, and `Table.update_item`. No order is kept."""

import os

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.parser.envelopes import EventBridgeEnvelope
from enrollment import Message

logger = Logger(service="enrollments")
metrics = Metrics(namespace="Enrollments", service="enrollments")
table = boto3.resource("dynamodb").Table(os.environ["ENROLLMENTS_TABLE"])


@logger.inject_lambda_context
@metrics.log_metrics
@event_parser(model=Message, envelope=EventBridgeEnvelope)
def handler(message, context):
    store(message)


def store(message):
    body = message.body.model_dump(mode="json", exclude_none=True)
    enrollment_id = body.pop("enrollment_id")
    table.update_item(
        Key={"enrollment_id": enrollment_id},
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in body),
        ExpressionAttributeNames={f"#{name}": name for name in body},
        ExpressionAttributeValues={f":{name}": value for name, value in body.items()},
    )
    metrics.add_metric(name="EnrollmentStored", unit=MetricUnit.Count, value=1)
    logger.info("Stored enrollment", enrollment_id=enrollment_id)
