"""`typical`, made safe against duplicates as Powertools says: its idempotency utility, with a table of its own."""

import os

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.parser.envelopes import EventBridgeEnvelope
from enrollment import Message
from typical import logger, metrics, store

_persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
_config = IdempotencyConfig(event_key_jmespath="[metadata.event_time, body.enrollment_id]")


@idempotent_function(data_keyword_argument="message", persistence_store=_persistence, config=_config)
def store_once(message):
    store(message)


@logger.inject_lambda_context
@metrics.log_metrics
@event_parser(model=Message, envelope=EventBridgeEnvelope)
def handler(message, context):
    _config.register_lambda_context(context)
    store_once(message=message)
