"""Records the metrics of the reconciliation, most of them with the dimension `family`."""

from collections.abc import Mapping

from aws_lambda_powertools.metrics import MetricUnit

from functions.routes import Family
from functions.runtime import count, metrics
from reconciliation.report import Report
from reconciliation.verdict import CORRECTED, Verdict

_REPORTED = tuple(verdict for verdict in Verdict if verdict is not Verdict.SAME)


def record_report(report: Report, *, expected: bool) -> None:
    """Record the verdicts and corrections of a run. Corrections that are `expected`, in a backfill, are not drift."""
    for family, counts in report.families.items():
        verdicts = {verdict: counts[verdict.value] for verdict in _REPORTED if not (expected and verdict in CORRECTED)}
        record_family(
            family,
            {
                "RowsCompared": counts["rows"],
                "Corrected": sum(counts[verdict.value] for verdict in CORRECTED),
                **{verdict.value.capitalize(): number for verdict, number in verdicts.items()},
            },
        )


def record_family(family: Family, values: Mapping[str, int]) -> None:
    """Record metrics of one record family and flush them, since the dimension applies to all metrics of a flush."""
    metrics.add_dimension(name="family", value=family)
    for name, value in values.items():
        count(name, value)
    metrics.flush_metrics()


def record_hours_since_run(hours: float) -> None:
    """Record the hours since the tables were last compared with Canvas."""
    metrics.add_metric(name="HoursSinceRun", unit=MetricUnit.NoUnit, value=hours)
    metrics.flush_metrics()
