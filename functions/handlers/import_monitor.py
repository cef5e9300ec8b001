"""Handler of the import monitor: counts unfinished and stuck SIS imports every hour.

Canvas sends no event for `aborted` and `cleanup_batch`, so an import can stay unfinished in the table for ever. Each is
counted as stuck in one hour only, so that an aborted import raises one alarm.
"""

from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.runtime import aws_client, count, logger, metrics, setting

_SCHEDULE = timedelta(hours=1)

_dynamodb = aws_client("dynamodb")
_table = setting("SIS_BATCHES_TABLE")
_index = setting("UNFINISHED_INDEX")
_stuck_after = timedelta(hours=float(setting("STUCK_IMPORT_HOURS")))


@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Count unfinished imports; count and log those that became stuck in the hour before the scheduled `time`.

    EventBridge redelivers a scheduled event with its original `time`, so that no hour is skipped or counted twice.
    """
    until = datetime.fromisoformat(event["time"]) - _stuck_after
    # The index holds unfinished imports only, so a scan reads nothing else.
    items = _dynamodb.get_paginator("scan").paginate(TableName=_table, IndexName=_index).search("Items[]")
    unfinished = {
        f"{item['account_id']['S']}/{item['sis_batch_id']['N']}": datetime.fromisoformat(item["unfinished_since"]["S"])
        for item in items
    }
    stuck = {name: since for name, since in unfinished.items() if until - _SCHEDULE < since <= until}
    count("ImportsUnfinished", len(unfinished))
    count("ImportsStuck", len(stuck))
    if stuck:
        logger.warning("Imports are stuck", imports={name: since.isoformat() for name, since in sorted(stuck.items())})
