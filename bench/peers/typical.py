"""Typical function: batch processor, parser, Logger and Metrics of Powertools, and `Table.update_item`."""

import os

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from enrollment import Record

logger = Logger(service="enrollments")
metrics = Metrics(namespace="Enrollments", service="enrollments")
processor = BatchProcessor(event_type=EventType.SQS, model=Record)
table = boto3.resource("dynamodb").Table(os.environ["ENROLLMENTS_TABLE"])


def batch_handler(store):
    @logger.inject_lambda_context
    @metrics.log_metrics
    def handler(event, context):
        return process_partial_response(event=event, record_handler=store, processor=processor, context=context)

    return handler


def store(record: Record):
    item = record.body.detail.item()
    enrollment_id = item.pop("enrollment_id")
    table.update_item(
        Key={"enrollment_id": enrollment_id},
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in item),
        ExpressionAttributeNames={f"#{name}": name for name in item},
        ExpressionAttributeValues={f":{name}": value for name, value in item.items()},
    )
    log_stored(enrollment_id)


def log_stored(enrollment_id):
    metrics.add_metric(name="EnrollmentStored", unit=MetricUnit.Count, value=1)
    logger.info("Stored enrollment", enrollment_id=enrollment_id)


handler = batch_handler(store)
