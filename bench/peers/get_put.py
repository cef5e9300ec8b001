"""Read, compare, write the whole item: order is kept while nobody else writes in between."""

import os

import boto3
from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.parser.envelopes import EventBridgeEnvelope
from enrollment import Message

table = boto3.resource("dynamodb").Table(os.environ["ENROLLMENTS_TABLE"])


@event_parser(model=Message, envelope=EventBridgeEnvelope)
def handler(message, context):
    body = message.body.model_dump(mode="json", exclude_none=True)
    event_time = message.metadata.event_time.isoformat()
    stored = table.get_item(Key={"enrollment_id": body["enrollment_id"]}, ConsistentRead=True).get("Item")
    if stored and stored.get("event_time", "") >= event_time:
        return
    table.put_item(Item=body | {"event_time": event_time})
