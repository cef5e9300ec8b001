"""Alarms and graphs of the reconciliation, on metrics that its functions emit."""

import json

import pytest

from functions.routes import FAMILIES
from functions.runtime import metrics
from reconciliation.family_metrics import record_hours_since_run, record_report
from reconciliation.report import Report
from reconciliation.verdict import Verdict
from tests.infra.conftest import CHANGED
from tests.infra.templates import definition_of, of_type, run_functions
from tests.infra.test_monitoring import alarms_of, assert_has_a_runbook, dashboard_of, expression, inputs

ALARMS = {"DriftFound", "HourlyErrors", "RunFailed", "RunOverdue"}


@pytest.fixture(scope="module")
def alarms(reconciled):
    return {name: alarm for name, alarm in alarms_of(reconciled.pipeline).items() if name in ALARMS}


def test_these_are_the_alarms(prod, reconciled, alarms):
    assert alarms.keys() == ALARMS
    assert alarms_of(reconciled.pipeline).keys() - alarms_of(prod.pipeline).keys() == ALARMS


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_notifies_and_names_its_section_of_the_runbook(alarms, name):
    alarm = alarms[name]
    (action,) = alarm["AlarmActions"]
    assert alarm["OKActions"] == [action]
    assert action["Ref"].startswith("MonitoringAlarmsNotify")
    # No alarm before the first run, or after a run without differences.
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert_has_a_runbook(alarm, "notify")


def test_a_run_that_failed_was_stopped_or_took_too_long_notifies(reconciled, alarms):
    alarm = alarms["RunFailed"]
    (machine,) = of_type(reconciled.pipeline, "AWS::StepFunctions::StateMachine")
    watched = [metric["Metric"] for metric in inputs(alarm)]
    assert {metric["MetricName"] for metric in watched} == {
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsAborted",
    }
    for metric in watched:
        assert metric["Namespace"] == "AWS/States"
        # Runs only: items of a map have another ARN.
        assert metric["Dimensions"] == [{"Name": "StateMachineArn", "Value": {"Ref": machine}}]
    assert (alarm["Threshold"], expression(alarm)) == (1, "SUM([m0, m1, m2])")


def test_two_schedules_without_a_run_notify(alarms, changed):
    alarm = alarms["RunOverdue"]
    ((metric),) = inputs(alarm)
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == ("HoursSinceRun", "Maximum", 3600)
    assert metric["Metric"].get("Dimensions") is None
    assert alarm["Threshold"] == 48
    assert alarms_of(changed.pipeline)["RunOverdue"]["Threshold"] == 72


def test_items_that_were_missing_or_wrong_notify_from_a_number_on(alarms, changed):
    alarm = alarms["DriftFound"]
    watched = {(metric["Metric"]["MetricName"], metric["Metric"]["Dimensions"][0]["Value"]) for metric in inputs(alarm)}
    assert watched == {(name, family) for name in ("Missing", "Drifted") for family in FAMILIES}
    assert expression(alarm).startswith("SUM(")
    assert alarm["Threshold"] == 100
    assert alarms_of(changed.pipeline)["DriftFound"]["Threshold"] == 9


def test_an_hourly_function_that_fails_at_every_attempt_notifies(reconciled, alarms):
    alarm = alarms["HourlyErrors"]
    functions = run_functions(reconciled.pipeline)
    watched = {metric["Metric"]["Dimensions"][0]["Value"]["Ref"] for metric in inputs(alarm)}
    assert watched == {functions[step][0] for step in ("run_monitor", "unfinished_imports")}
    # Invoked asynchronously: three attempts.
    assert (alarm["Threshold"], expression(alarm)) == (3, "MAX([m0, m1])")
    assert {metric["Period"] for metric in inputs(alarm)} == {3600}


@pytest.fixture
def emitted(output):
    """Names and dimensions of the metrics that the functions record."""
    verdicts = {verdict.value: 1 for verdict in Verdict}
    record_report(
        Report(
            run="run",
            number=1,
            full=False,
            dry_run=False,
            started_at="2026-01-01T00:00:00.000Z",
            families={family: {"rows": 7} | verdicts for family in FAMILIES},
            corrections=2,
            oldest_drift_seconds=None,
            at={},
            as_of={},
        ),
        expected=False,
    )
    record_hours_since_run(3.5)
    metrics.clear_metrics()
    blobs = [json.loads(line) for line in output.lines() if line.startswith('{"_aws"')]
    return {
        (metric["Name"], dimensions[0] if dimensions else None, blob.get("family"))
        for blob in blobs
        for definition in blob["_aws"]["CloudWatchMetrics"]
        for dimensions in definition["Dimensions"]
        for metric in definition["Metrics"]
    }


def test_no_alarm_and_no_graph_names_a_metric_that_nothing_emits(reconciled, alarms, emitted):
    # GIVEN every custom metric in an alarm or a graph of the reconciliation
    named = set()
    for alarm in alarms.values():
        for metric in (part["Metric"] for part in inputs(alarm)):
            if metric["Namespace"] == "CanvasLiveState/prod":
                ((name, value),) = [(d["Name"], d["Value"]) for d in metric.get("Dimensions") or []] or [(None, None)]
                named.add((metric["MetricName"], name, value))
    for widget in dashboard_of(reconciled)["widgets"]:
        for namespace, metric, *rest in widget["properties"].get("metrics", []):
            dimensions = [part for part in rest if isinstance(part, str)]
            if namespace == "CanvasLiveState/prod" and (metric == "HoursSinceRun" or "family" in dimensions):
                named.add((metric, *(dimensions or (None, None))))

    # THEN the functions record it with exactly that dimension, and the graphs show every recorded metric
    assert named == emitted


def test_the_dashboard_has_a_row_of_the_reconciliation_where_there_is_one(prod, reconciled):
    def titles(stage):
        return [widget["properties"]["title"] for widget in dashboard_of(stage)["widgets"]]

    row = ["Missing or drifted", "Not corrected", "Rows compared, items corrected", "Hours since the last run"]
    assert [title for title in titles(reconciled) if title not in titles(prod)] == row
    assert set(titles(prod)) < set(titles(reconciled))
    widgets = dashboard_of(reconciled)["widgets"]
    for y in {widget["y"] for widget in widgets}:
        assert sum(widget["width"] for widget in widgets if widget["y"] == y) == 24
    (top,) = [widget for widget in widgets if widget["y"] == 0]
    assert len(top["properties"]["alarms"]) == len(alarms_of(reconciled.pipeline))


def test_a_topic_of_somebody_else_is_notified_of_failed_runs_too(changed):
    existing = CHANGED.notify_topic_arn
    assert definition_of(changed.pipeline)["States"]["Notify"]["Arguments"]["TopicArn"] == existing
    policies = json.dumps(list(of_type(changed.pipeline, "AWS::IAM::Policy").values()))
    assert f'{{"Action": "sns:Publish", "Effect": "Allow", "Resource": "{existing}"}}' in policies
