"""Handler of the first step: rejects a run that overlaps another, numbers it, and starts its jobs."""

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
from reconciliation.rows import FAMILY_OF
from reconciliation.run_files import REPORT, RunFiles
from reconciliation.step import RunState, step


@step
def handler(payload: dict[str, Any], _context: LambdaContext) -> RunState:
    """Start the jobs of a run, and return its state."""
    run, options = payload["run"], payload["input"]
    full = bool(options.get("full"))
    _refuse_overlap(payload["state_machine"], run, datetime.fromisoformat(payload["started_at"]))
    forced = options.get("force")
    limit_of = _corrections_of(forced) if forced else None
    if full:
        jobs = asyncio.run(_start_jobs((*FAMILY_OF, "users"), since=None))
    else:
        # Counted from the start of the run, so that a repeated step makes the same query and gets the same job.
        since = datetime.fromisoformat(payload["started_at"]) - timedelta(days=float(setting("WINDOW_DAYS")))
        jobs = asyncio.run(_start_jobs(tuple(FAMILY_OF), since=since.replace(microsecond=0)))
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
    """Reject `run` while an earlier run is running, since both would do the same work."""
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
    """A unique number of the run: the version of the parameter to which its name is written."""
    name = setting("RUN_NUMBER_PARAMETER")
    number: int = aws_client("ssm").put_parameter(Name=name, Value=run, Type="String", Overwrite=True)["Version"]
    return number


async def _start_jobs(tables: Sequence[str], *, since: datetime | None) -> dict[str, str]:
    async with canvas_data() as canvas:
        return {table: await canvas.query_table(table, since=since) for table in tables}
