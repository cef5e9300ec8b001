"""Handler of the last step: records the run's metrics and returns its report."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from reconciliation.family_metrics import record_report
from reconciliation.report import Report
from reconciliation.run_files import REPORT, RunFiles
from reconciliation.step import RunState, step


@step
def handler(payload: RunState, _context: LambdaContext) -> dict[str, Any]:
    """Record what the run corrected, as its files say: a repeated step changes no count in them.

    Of a dry run nothing is recorded: the run that follows it would count the same again.
    """
    report = Report.from_dict(RunFiles(payload["run"]).read_json(REPORT))
    if not report.dry_run:
        record_report(report, expected=payload["expected"])
    return report.to_dict()
