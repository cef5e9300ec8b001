"""Records the metrics of the reconciliation, those of each record family under its dimension `family`."""

from collections.abc import Mapping

from aws_lambda_powertools.metrics import MetricUnit

from functions.runtime import count, metrics
from reconciliation.report import Report
from reconciliation.rows import Family
from reconciliation.verdict import Verdict

_REPORTED = (Verdict.MISSING, Verdict.DRIFTED, Verdict.UNDECIDED, Verdict.BEHIND, Verdict.UNKNOWN, Verdict.GONE)
_CORRECTED = (Verdict.MISSING, Verdict.DRIFTED)


def record_report(report: Report, *, expected: bool) -> None:
    """Record what a run found and corrected; what a backfill corrects is `expected`, and no drift."""
    for family, counts in report.families.items():
        verdicts = {verdict: counts[verdict.value] for verdict in _REPORTED if not (expected and verdict in _CORRECTED)}
        record_family(
            family,
            {
                "RowsCompared": counts["rows"],
                "Corrected": sum(counts[verdict.value] for verdict in _CORRECTED),
                **{verdict.value.capitalize(): number for verdict, number in verdicts.items()},
            },
        )


def record_family(family: Family, values: Mapping[str, int]) -> None:
    """Record metrics of one record family, at once: those of another have another dimension."""
    metrics.add_dimension(name="family", value=family)
    for name, value in values.items():
        count(name, value)
    metrics.flush_metrics()


def record_hours_since_run(hours: float) -> None:
    """Record for how many hours the tables have not been compared with Canvas."""
    metrics.add_metric(name="HoursSinceRun", unit=MetricUnit.NoUnit, value=hours)
    metrics.flush_metrics()
