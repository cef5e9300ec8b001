"""The hourly look at imports that do not come to an end: Canvas announces neither `aborted` nor `cleanup_batch`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.aws import client
from functions.runtime import logger, metrics, setting

_dynamodb = client("dynamodb")
_table = setting("SIS_BATCHES_TABLE")
_index = setting("UNFINISHED_INDEX")


@logger.inject_lambda_context
@metrics.log_metrics
def handler(_event: dict[str, Any], _context: LambdaContext) -> None:
    """Count the unfinished imports, measure the age of the oldest in seconds, and log which they are."""
    now = datetime.now(UTC)
    unfinished = sorted((item["unfinished_since"]["S"], _name(item)) for item in _unfinished())
    age = (now - datetime.fromisoformat(unfinished[0][0])).total_seconds() if unfinished else 0.0
    metrics.add_metric(name="ImportsUnfinished", unit=MetricUnit.Count, value=len(unfinished))
    metrics.add_metric(name="OldestUnfinishedImportAge", unit=MetricUnit.Seconds, value=age)
    if unfinished:
        logger.warning("Imports are unfinished", imports={name: since for since, name in unfinished})


def _unfinished() -> Iterator[dict[str, Any]]:
    # A scan, but of an index that holds nothing else.
    for page in _dynamodb.get_paginator("scan").paginate(TableName=_table, IndexName=_index):
        yield from page["Items"]


def _name(item: dict[str, Any]) -> str:
    return f"{item['account_id']['S']}/{item['sis_batch_id']['N']}"
