"""Handler of the first step: refuses a run that would overlap another, numbers it, and orders its results."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.runtime import setting
from reconciliation.aws import aws_client
from reconciliation.canvas_data import canvas_data
from reconciliation.failure import STAGE_OPTION, PredecessorStillRuns, UnknownRun
from reconciliation.report import Report
from reconciliation.run_files import REPORT, RunFiles
from reconciliation.step import RunState, step

_TABLES = ("enrollments", "enrollment_states")


@step
def handler(payload: dict[str, Any], _context: LambdaContext) -> RunState:
    """Start the jobs of a run; what its steps hand on."""
    run, options = payload["run"], payload["input"]
    full = bool(options.get("full"))
    _refuse_overlap(payload["state_machine"], run, datetime.fromisoformat(payload["started_at"]))
    forced = options.get("force")
    limit_of = _corrections_of(forced) if forced else None
    if full:
        jobs = asyncio.run(_order((*_TABLES, "users"), since=None))
    else:
        # From the run's own start: a repeated step makes the same query, and is given the same job.
        since = datetime.fromisoformat(payload["started_at"]) - timedelta(days=float(setting("WINDOW_DAYS")))
        jobs = asyncio.run(_order(_TABLES, since=since.replace(microsecond=0)))
    return {
        "run": run,
        "number": _next_number(run),
        "started_at": payload["started_at"],
        "full": full,
        "dry_run": bool(options.get("dry_run")),
        "expected": bool(options.get("expected")),
        "limit_of": limit_of,
        "jobs": jobs,
    }


def _refuse_overlap(state_machine: str, run: str, started_at: datetime) -> None:
    """Refuse `run` while one that started before it is running. Both would be right, and twice the work."""
    pages = aws_client("stepfunctions").get_paginator("list_executions")
    running = pages.paginate(stateMachineArn=state_machine, statusFilter="RUNNING").search("executions[]")
    for execution in running:
        name = execution["name"]
        if name != run and (execution["startDate"], name) < (started_at, run):
            raise PredecessorStillRuns(
                f"Run {name} is still running. Wait for it, then start this one again; or stop it: "
                f"aws stepfunctions stop-execution --execution-arn {execution['executionArn']}"
            )


def _corrections_of(run: str) -> int:
    files = RunFiles(run)
    if not files.names(REPORT):
        raise UnknownRun(
            f"There is no report of a run {run}: reports are kept for three days. Make one and read it: "
            f"ops reconcile {STAGE_OPTION} --dry-run"
        )
    return Report.from_dict(files.read_json(REPORT)).corrections


def _next_number(run: str) -> int:
    """A number that no other run has: each value of the parameter has its version."""
    name = setting("RUN_NUMBER_PARAMETER")
    number: int = aws_client("ssm").put_parameter(Name=name, Value=run, Type="String", Overwrite=True)["Version"]
    return number


async def _order(tables: Sequence[str], *, since: datetime | None) -> dict[str, str]:
    async with canvas_data() as canvas:
        return {table: await canvas.query_table(table, since=since) for table in tables}
