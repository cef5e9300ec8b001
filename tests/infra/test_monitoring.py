"""Alarms that go off when they should, a dashboard of metrics that exist, and an import monitor that runs hourly."""

import json
import re
from importlib import import_module
from unittest import mock

import boto3
import pytest

from infra.settings import settings_of
from tests.alarms import inputs, judge
from tests.canvas import EVENT_NAMES, ROOT, example, sqs_batch, without
from tests.conftest import synthesise
from tests.context import FunctionContext
from tests.tables import Tables
from tests.templates import arn_of, of_type

ALARMS = [
    "EventDeadLetters",
    "EventLag",
    "FunctionErrors",
    "FunctionThrottles",
    "IngestionDeadLetters",
    "NoEvents",
    "QueueDelay",
    "Retries",
    "TableErrors",
    "TableThrottles",
    "UnfinishedImports",
    "UnknownStates",
]


def alarms_of(template):
    return {
        re.fullmatch(r"MonitoringAlarms(\w+?)[0-9A-F]{8}", logical_id)[1]: properties
        for logical_id, properties in of_type(template, "AWS::CloudWatch::Alarm").items()
    }


@pytest.fixture(scope="module")
def alarms(prod):
    return alarms_of(prod.pipeline)


def test_these_are_the_alarms(alarms):
    assert sorted(alarms) == ALARMS


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_tells_someone_what_it_means_and_where_the_runbook_goes_on(prod, alarms, name):
    (topic,) = of_type(prod.pipeline, "AWS::SNS::Topic")
    assert alarms[name]["AlarmActions"] == alarms[name]["OKActions"] == [{"Ref": topic}]
    meaning, anchor = re.fullmatch(
        r"(.+\.) Runbook: docs/operations\.md#([a-z-]+)", alarms[name]["AlarmDescription"]
    ).groups()
    assert len(meaning) > 20
    titles = re.findall(r"^### (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^a-z0-9-]", "", title.lower().replace(" ", "-")) for title in titles}


def data(alarm, value, *, of=None, periods=None):
    """`value` for the metric `of`, in the newest `periods`; nothing for all others, and before."""
    every = alarm["EvaluationPeriods"]
    told = every if periods is None else periods
    return {name: [None] * (every - told) + [value if of in {None, name} else None] * told for name in inputs(alarm)}


@pytest.mark.parametrize("name", [name for name in ALARMS if name != "NoEvents"])
def test_an_alarm_goes_off_at_its_threshold_whichever_of_its_metrics_reaches_it(alarms, name):
    # GIVEN an alarm
    alarm = alarms[name]

    # THEN no data is no alarm
    assert judge(alarm, data(alarm, None)) == "OK"
    for metric in inputs(alarm):
        # AND each of its metrics alone sets it off at the threshold, not below it
        assert judge(alarm, data(alarm, alarm["Threshold"], of=metric)) == "ALARM"
        assert judge(alarm, data(alarm, alarm["Threshold"] * 0.99, of=metric)) == "OK"
        # AND it waits as many periods as it was told to
        assert judge(alarm, data(alarm, alarm["Threshold"], of=metric, periods=alarm["EvaluationPeriods"] - 1)) == "OK"


def test_silence_is_an_alarm_after_a_day_and_one_event_ends_it(alarms):
    alarm = alarms["NoEvents"]
    (metric,) = inputs(alarm)
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (3600, settings_of("prod").silence_hours)
    assert judge(alarm, {metric: [None] * 24}) == "ALARM"
    assert judge(alarm, {metric: [0.0] * 24}) == "ALARM"
    assert judge(alarm, {metric: [None] * 23 + [1.0]}) == "OK"


def test_thresholds_are_those_of_the_settings(alarms):
    settings = settings_of("prod")
    assert alarms["EventLag"]["Threshold"] == settings.event_lag_minutes * 60_000
    assert alarms["QueueDelay"]["Threshold"] == settings.oldest_message_minutes * 60
    assert alarms["UnfinishedImports"]["Threshold"] == settings.unfinished_import_hours * 3600


def test_silence_is_no_alarm_where_the_stage_says_so():
    assert settings_of("dev").silence_hours == 0
    assert sorted(alarms_of(synthesise("dev").pipeline)) == [name for name in ALARMS if name != "NoEvents"]


def test_no_alarm_looks_at_more_metrics_than_cloudwatch_allows(alarms):
    assert max(len(inputs(alarm)) for alarm in alarms.values()) <= 10


def test_the_operators_guide_counts_the_alarms_and_their_metrics_right(alarms):
    looked_at = sum(len(inputs(alarm)) for alarm in alarms.values())
    assert f"{len(alarms)} alarms over {looked_at} metrics" in (ROOT / "docs/operations.md").read_text()


@pytest.fixture
def emitted(aws, prod, deliver, dead_letters, output):
    """The names of all metrics that the functions really emit, and whether with the dimension `event_name`."""
    Tables(prod.data)
    relay = import_module("functions.handlers.relay")
    boto3.client("events").create_event_bus(Name="canvas-live-events-test")
    for name in EVENT_NAMES:
        deliver(example(name))
        old = example(name, metadata={"event_time": "2001-01-01T00:00:00Z"})
        deliver(example(name), old, without(example(name), "body"), to=name)
    deliver(example("sis_batch_created", body={"workflow_state": "invented_later"}))
    import_module("functions.handlers.import_monitor").handler({}, FunctionContext())
    ignored = {"metadata": {"event_name": "course_created"}, "body": {}}
    foreign = example(EVENT_NAMES[0], metadata={"root_account_id": "30000000000000001"})
    with mock.patch.object(relay, "_shards", {2107}):
        relay.handler(
            sqs_batch("{", json.dumps(ignored), json.dumps(foreign), json.dumps(example(EVENT_NAMES[0]))),
            FunctionContext(),
        )
    with mock.patch.object(relay, "_event_bus", "missing"):
        relay.handler(sqs_batch(json.dumps(example(EVENT_NAMES[0]))), FunctionContext())
    for table in boto3.client("dynamodb").list_tables()["TableNames"]:
        boto3.client("dynamodb").delete_table(TableName=table)
    for name in EVENT_NAMES:
        deliver(example(name))
    blobs = [json.loads(line) for line in output.lines() if line.startswith('{"_aws"')]
    return {
        (metric["Name"], tuple(definition["Dimensions"][0]))
        for blob in blobs
        for definition in blob["_aws"]["CloudWatchMetrics"]
        for metric in definition["Metrics"]
    }


def dashboard_of(prod):
    """The dashboard's body, its CloudFormation references replaced by a word."""
    (dashboard,) = of_type(prod.pipeline, "AWS::CloudWatch::Dashboard").values()
    parts = dashboard["DashboardBody"]["Fn::Join"][1]
    return json.loads("".join(part if isinstance(part, str) else "reference" for part in parts))


def test_no_widget_and_no_alarm_names_a_metric_that_nothing_emits(prod, alarms, emitted):
    # GIVEN every metric of our own that a widget or an alarm names
    named = set()
    for widget in dashboard_of(prod)["widgets"]:
        for namespace, metric, *dimensions in widget["properties"].get("metrics", []):
            if namespace == "CanvasLiveState":
                named.add((metric, tuple(d for d in dimensions[::2] if isinstance(d, str))))
    for alarm in alarms.values():
        for metric in inputs(alarm).values():
            if metric["Namespace"] == "CanvasLiveState":
                named.add((metric["MetricName"], tuple(d["Name"] for d in metric.get("Dimensions", []))))

    # THEN the functions emit it, with those dimensions
    assert named
    assert named - emitted == set()


def test_the_top_row_of_the_dashboard_answers_whether_it_is_healthy(prod):
    widgets = dashboard_of(prod)["widgets"]
    (top,) = [widget for widget in widgets if widget["y"] == 0]
    assert top["properties"]["title"] == "Is it healthy?"
    assert len(top["properties"]["alarms"]) == len(ALARMS)
    # Rows are full and do not overlap.
    for y in {widget["y"] for widget in widgets}:
        assert sum(widget["width"] for widget in widgets if widget["y"] == y) == 24


def test_the_dashboard_shows_every_kind_of_thing(prod):
    titles = {widget["properties"]["title"] for widget in dashboard_of(prod)["widgets"]}
    assert {"Applied", "Duplicate", "Stale", "Rejected", "Event lag, p50", "Event lag, p99"} <= titles
    assert {"Retried", "Dead-lettered messages", "Oldest message, by queue"} <= titles
    assert {"Cost: invocations", "Cost: relay batches", "Cost: write units"} <= titles


def test_the_import_monitor_runs_every_hour(prod):
    (rule,) = (rule for rule in of_type(prod.pipeline, "AWS::Events::Rule").values() if "ScheduleExpression" in rule)
    monitor = of_type(prod.pipeline, "AWS::Lambda::Function")[arn_of(rule["Targets"][0]["Arn"])]
    assert rule["ScheduleExpression"] == "rate(1 hour)"
    assert monitor["Handler"] == "functions.handlers.import_monitor.handler"


def test_the_topic_takes_tls_only(prod):
    (policy,) = of_type(prod.pipeline, "AWS::SNS::TopicPolicy").values()
    denials = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
    assert [denial["Condition"] for denial in denials] == [{"Bool": {"aws:SecureTransport": "false"}}]
