"""Handler that compares recent SIS imports, and those that are unfinished in the table, with Canvas."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.runtime import setting
from reconciliation.canvas_rest import CanvasRest, ImportOnPage, canvas_rest
from reconciliation.report import Counts
from reconciliation.run_files import IMPORTS, Lines, RunFiles
from reconciliation.sis_batches import judge_imports, unfinished_imports
from reconciliation.step import RunState, now, step


@step
def handler(payload: RunState, _context: LambdaContext) -> dict[str, Any]:
    """Write the counts and corrections of imports."""
    since = datetime.fromisoformat(payload["started_at"]) - timedelta(days=float(setting("WINDOW_DAYS")))
    counts, corrections = Counts(), Lines()
    for judgement in judge_imports(_found(canvas_rest(), since), number=payload["number"], now=now()):
        counts.rows += 1
        counts.add(judgement)
        if judgement.correction is not None:
            corrections.add(judgement.correction.to_json())
    RunFiles(payload["run"]).write_lines(IMPORTS, corrections, header=counts.to_dict())
    return {}


def _found(canvas: CanvasRest, since: datetime) -> Iterator[ImportOnPage | None]:
    seen = set()
    for found in canvas.sis_imports(created_since=since):
        if found.answer is not None:
            seen.add(found.answer.sis_batch_id)
        yield found
    for sis_batch_id in unfinished_imports():
        if sis_batch_id not in seen:
            yield canvas.sis_import(sis_batch_id)
