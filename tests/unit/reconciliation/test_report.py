"""Counts, the report of a run, and its metrics by record family."""

import json
import subprocess
import sys

from functions.routes import Family
from reconciliation.correction import Correction
from reconciliation.family_metrics import record_family, record_hours_since_run, record_report
from reconciliation.judgement import Judgement
from reconciliation.report import Counts, Report, family_counts, oldest
from reconciliation.verdict import Verdict

CORRECTION = Correction(event_name="enrollment_updated", event_time="t", root_account_id="1", body={})
NOTHING = dict.fromkeys(("missing", "same", "drifted", "undecided", "behind", "unknown", "gone"), 0)


def report():
    counted = {"rows": 5} | NOTHING | {"missing": 1, "drifted": 2, "same": 2}
    return Report(
        run="reconcile-1",
        number=7,
        full=False,
        dry_run=False,
        started_at="2026-11-22T09:00:00Z",
        families={"enrollment": counted, "state": {"rows": 0} | NOTHING, "import": {"rows": 0} | NOTHING},
        corrections=3,
        oldest_drift_seconds=60,
        at={"enrollments": "2026-11-22T08:00:00.000000Z"},
        as_of={"enrollments": "2026-11-21T22:00:00.000000Z"},
    )


def test_judgements_are_counted():
    counts = Counts(rows=4)
    counts.add(Judgement(verdict=Verdict.MISSING, correction=CORRECTION))
    counts.add(Judgement(verdict=Verdict.DRIFTED, correction=CORRECTION, drift_seconds=30.0))
    counts.add(Judgement(verdict=Verdict.DRIFTED, correction=CORRECTION, drift_seconds=20.0))
    counts.add(Judgement(verdict=Verdict.BEHIND, contradicts=True))
    assert counts.to_dict() == {
        "rows": 4,
        "verdicts": {"missing": 1, "drifted": 2, "behind": 1},
        "corrections": 3,
        "oldest_drift_seconds": 30.0,
        "contradictions": 1,
    }


def test_counts_survive_json_and_are_added():
    one, other = Counts(rows=1), Counts(rows=2, oldest_drift_seconds=9.0)
    one.add(Judgement(verdict=Verdict.SAME))
    other.add(Judgement(verdict=Verdict.SAME))
    one += Counts.from_dict(json.loads(json.dumps(other.to_dict())))
    one += Counts()
    assert (one.rows, one.verdicts, one.oldest_drift_seconds) == (3, {"same": 2}, 9.0)


def test_every_family_has_every_verdict_and_the_oldest_drift_is_whole_seconds():
    counts: dict[Family, Counts] = {"enrollment": Counts(), "state": Counts(), "import": Counts()}
    assert family_counts(counts) == {family: {"rows": 0} | NOTHING for family in counts}
    assert oldest(counts.values()) is None
    counts["state"].oldest_drift_seconds = 59.7
    counts["import"].oldest_drift_seconds = 3.0
    assert oldest(counts.values()) == 60


def test_a_report_survives_json():
    assert Report.from_dict(json.loads(json.dumps(report().to_dict()))) == report()
    assert report().drift == 3


def records(output):
    """What was recorded, by family; and the dimensions of each record."""
    lines = [json.loads(line) for line in output.lines()]
    assert all(len(line["_aws"]["CloudWatchMetrics"]) == 1 for line in lines)
    dimensions = [line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] for line in lines]
    assert {line["_aws"]["CloudWatchMetrics"][0]["Namespace"] for line in lines} == {"CanvasLiveState/test"}
    return {
        line.get("family"): {name: value[0] for name, value in line.items() if name not in ("_aws", "family")}
        for line in lines
    }, dimensions


def test_a_run_is_recorded_by_family(output):
    record_report(report(), expected=False)
    recorded, dimensions = records(output)
    assert dimensions == [[["family"]]] * 3
    none = dict.fromkeys(
        ("RowsCompared", "Missing", "Drifted", "Undecided", "Behind", "Unknown", "Gone", "Corrected"), 0
    )
    assert recorded == {
        "enrollment": none | {"RowsCompared": 5, "Missing": 1, "Drifted": 2, "Corrected": 3},
        "state": none,
        "import": none,
    }


def test_what_a_backfill_corrects_is_no_drift(output):
    record_report(report(), expected=True)
    recorded = records(output)[0]["enrollment"]
    assert recorded["Corrected"] == 3
    assert not {"Missing", "Drifted"} & recorded.keys()


def test_other_metrics_are_recorded_at_once(output):
    record_family("import", {"Corrected": 2})
    record_hours_since_run(25.5)
    recorded, dimensions = records(output)
    assert recorded == {"import": {"Corrected": 2}, None: {"HoursSinceRun": 25.5}}
    assert dimensions == [[["family"]], [[]]]


def test_the_command_line_can_read_reports_and_failures_without_the_settings_of_a_function():
    program = "import reconciliation.failure, reconciliation.report"
    subprocess.run([sys.executable, "-c", program], check=True, env={})
