"""`typical` with the idempotency utility of Powertools, and a table for it."""

import os

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from typical import batch_handler, store

persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="body.detail.[metadata.event_time, body.enrollment_id]")
store_once = idempotent_function(store, data_keyword_argument="record", persistence_store=persistence, config=config)


def record_handler(record, lambda_context):
    config.register_lambda_context(lambda_context)
    store_once(record=record)


handler = batch_handler(record_handler)
