"""Handler that checks whether the results of a run are complete, and then lists their parts."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from reconciliation.canvas_data import TableResult, canvas_data
from reconciliation.failure import STAGE_OPTION, JobsTimedOut
from reconciliation.rows import FAMILY_OF
from reconciliation.run_files import JOBS, PARTS, RunFiles
from reconciliation.step import RunState, step

_LONGEST_HOURS = 6


@step
def handler(payload: RunState, _context: LambdaContext) -> dict[str, Any]:
    """Add `complete` to the state of the run: whether its results are."""
    results = asyncio.run(_results(payload["jobs"]))
    missing = [table for table, result in results.items() if result is None]
    if missing and datetime.now(UTC) - datetime.fromisoformat(payload["started_at"]) > timedelta(hours=_LONGEST_HOURS):
        raise JobsTimedOut(
            f"Canvas Data 2 has not made the result of {', '.join(missing)} in {_LONGEST_HOURS} hours. "
            f"The next run of the schedule tries again; or, later: ops reconcile {STAGE_OPTION}"
        )
    complete = {table: result for table, result in results.items() if result is not None}
    if not missing:
        _write(RunFiles(payload["run"]), payload["jobs"], complete)
    return {**payload, "complete": not missing}


async def _results(jobs: dict[str, str]) -> dict[str, TableResult | None]:
    async with canvas_data() as canvas:
        return {table: await canvas.result(table, job_id) for table, job_id in jobs.items()}


def _write(files: RunFiles, jobs: dict[str, str], results: dict[str, TableResult]) -> None:
    files.write_json(
        JOBS,
        {
            table: {"job_id": jobs[table], "at": result.at, "objects": list(result.objects)}
            for table, result in results.items()
        },
    )
    parts = [
        {"table": table, "part": number, "object": object_id, "at": results[table].at}
        for table in FAMILY_OF
        for number, object_id in enumerate(results[table].objects)
    ]
    files.write_json(PARTS, parts)
