"""Handler of the run monitor: records every hour how long ago the tables were compared with Canvas."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.runtime import setting
from reconciliation.aws import aws_client
from reconciliation.family_metrics import record_hours_since_run
from reconciliation.step import step

DRY_RUN_PREFIX = "dry-run-"
"""Prefix of the names of executions that publish nothing, and do not count."""


@step
def handler(_event: dict[str, Any], _context: LambdaContext) -> None:
    """Record the hours since the start of the last run that succeeded, or since the deployment."""
    record_hours_since_run((datetime.now(UTC) - _compared_at()) / timedelta(hours=1))


def _compared_at() -> datetime:
    stepfunctions, state_machine = aws_client("stepfunctions"), setting("STATE_MACHINE_ARN")
    # Newest first. Source: Step Functions API reference, "ListExecutions".
    pages = stepfunctions.get_paginator("list_executions")
    for execution in pages.paginate(stateMachineArn=state_machine, statusFilter="SUCCEEDED").search("executions[]"):
        if not execution["name"].startswith(DRY_RUN_PREFIX):
            started: datetime = execution["startDate"]
            return started
    created: datetime = stepfunctions.describe_state_machine(stateMachineArn=state_machine)["creationDate"]
    return created
