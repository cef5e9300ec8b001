"""Handler of the import monitor: measures SIS imports that do not end, hourly.

Canvas announces neither `aborted` nor `cleanup_batch`, so an import can stay unfinished in our table for ever.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.runtime import aws_client, count, logger, metrics, setting

_dynamodb = aws_client("dynamodb")
_table = setting("SIS_BATCHES_TABLE")
_index = setting("UNFINISHED_INDEX")


@metrics.log_metrics
def handler(_event: dict[str, Any], _context: LambdaContext) -> None:
    """Count the unfinished imports, measure the age of the oldest in seconds, and log which they are."""
    now = datetime.now(UTC)
    unfinished = sorted(
        (item["unfinished_since"]["S"], f"{item['account_id']['S']}/{item['sis_batch_id']['N']}")
        for item in _unfinished()
    )
    age = (now - datetime.fromisoformat(unfinished[0][0])).total_seconds() if unfinished else 0.0
    count("ImportsUnfinished", len(unfinished))
    metrics.add_metric(name="OldestUnfinishedImportAge", unit=MetricUnit.Seconds, value=age)
    if unfinished:
        logger.warning("Imports are unfinished", imports={name: since for since, name in unfinished})


def _unfinished() -> Iterator[dict[str, Any]]:
    # A scan, but of an index that holds nothing else.
    for page in _dynamodb.get_paginator("scan").paginate(TableName=_table, IndexName=_index):
        yield from page["Items"]
