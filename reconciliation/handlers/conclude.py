"""Handler of the last step: records the run's metrics and returns its report."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from reconciliation.family_metrics import record_report
from reconciliation.report import Report
from reconciliation.run_files import REPORT, RunFiles
from reconciliation.step import RunState, step


@step
def handler(payload: RunState, _context: LambdaContext) -> dict[str, Any]:
    """Record the counts of the report, and return the report.

    Nothing is recorded of a dry run: the next run counts the same items.
    """
    report = Report.from_dict(RunFiles(payload["run"]).read_json(REPORT))
    if not report.dry_run:
        record_report(report, expected=payload["expected"])
    return report.to_dict()
