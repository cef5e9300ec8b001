"""Alarms and dashboard: every alarm has a recipient, a runbook section and existing metrics."""

import json
import re
from importlib import import_module
from unittest import mock

import boto3
import pytest
from aws_cdk import App
from aws_cdk.assertions import Annotations, Match

from infra.app import build
from testbed.events import EVENT_NAMES, ROOT, example, sqs_batch, without
from testbed.lambda_context import FunctionContext
from testbed.stacks import PROD, synthesise
from testbed.tables import Tables
from tests.infra.templates import arn_of, of_type

PAGES = {"AllForeign", "DeliveriesLost", "FunctionErrors", "NoEvents", "QueueDelayPersists", "RetriesPersist"}
NOTIFICATIONS = {
    *("DeadLetters", "EventLag", "Foreign", "ImportMonitorErrors"),
    *("QueueDelay", "Retries", "StuckImports", "UnknownStates"),
}
NAMESPACE = "CanvasLiveState/prod"


def alarms_of(template):
    return {
        logical_id.removeprefix("MonitoringAlarms")[:-8]: properties
        for logical_id, properties in of_type(template, "AWS::CloudWatch::Alarm").items()
    }


@pytest.fixture(scope="module")
def alarms(prod):
    return alarms_of(prod.pipeline)


def inputs(alarm):
    """Metrics that an alarm evaluates, with their periods."""
    if "Metrics" not in alarm:
        return [
            {"Metric": alarm, "Stat": alarm.get("Statistic") or alarm["ExtendedStatistic"], "Period": alarm["Period"]}
        ]
    return [part["MetricStat"] for part in alarm["Metrics"] if "MetricStat" in part]


def expression(alarm):
    return next(part["Expression"] for part in alarm["Metrics"] if "Expression" in part)


def test_these_are_the_alarms(alarms):
    assert alarms.keys() == PAGES | NOTIFICATIONS


@pytest.mark.parametrize("name", sorted(PAGES | NOTIFICATIONS))
def test_an_alarm_reaches_the_topic_of_its_severity_which_admits_cloudwatch(prod, alarms, name):
    # GIVEN the topic that is notified of the states ALARM and OK
    (action,) = alarms[name]["AlarmActions"]
    assert alarms[name]["OKActions"] == [action]
    topic = action["Ref"]
    assert topic.startswith("MonitoringAlarmsPage" if name in PAGES else "MonitoringAlarmsNotify")

    # THEN the policy of the topic admits alarms of this account and region, and TLS only
    (policy,) = (
        policy["PolicyDocument"]["Statement"]
        for policy in of_type(prod.pipeline, "AWS::SNS::TopicPolicy").values()
        if policy["Topics"] == [{"Ref": topic}]
    )
    (allowed,) = (statement for statement in policy if statement["Effect"] == "Allow")
    assert (allowed["Action"], allowed["Principal"]) == ("sns:Publish", {"Service": "cloudwatch.amazonaws.com"})
    assert allowed["Resource"] == {"Ref": topic}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    arn = allowed["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Join"][1]
    assert "".join(part if isinstance(part, str) else part["Ref"] for part in arn) == (
        "arn:AWS::Partition:cloudwatch:AWS::Region:AWS::AccountId:alarm:*"
    )
    (denied,) = (statement for statement in policy if statement["Effect"] == "Deny")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def assert_has_a_runbook(alarm, severity):
    """Check that the description of `alarm` has severity, meaning and an existing section of the runbook."""
    description = re.fullmatch(
        r"(page|notify): (.+\.) Runbook: docs/operations\.md#([a-z-]+)", alarm["AlarmDescription"]
    )
    assert description
    stated, meaning, anchor = description.groups()
    assert stated == severity
    assert len(meaning) > 20
    sections = re.split(r"^### ", (ROOT / "docs/operations.md").read_text(), flags=re.MULTILINE)[1:]
    section = {re.sub(r"[^a-z0-9-]", "", s.split("\n")[0].lower().replace(" ", "-")): s for s in sections}[anchor]
    section = section.split("\n## ")[0]
    for part in (f"**Severity** {severity}", "**Means**", "**Check**", "**Cure**"):
        assert part in section
    for command in re.findall(r"`(ops [^`]+)`", section):
        assert "--stage" in command


@pytest.mark.parametrize("name", sorted(PAGES | NOTIFICATIONS))
def test_an_alarm_has_a_severity_a_meaning_and_a_section_of_the_runbook(alarms, name):
    assert_has_a_runbook(alarms[name], "page" if name in PAGES else "notify")


@pytest.mark.parametrize(("name", "minutes"), [("Retries", 15), ("RetriesPersist", 60)])
def test_messages_that_fail_notify_after_a_quarter_hour_and_page_after_an_hour(alarms, name, minutes):
    alarm = alarms[name]
    periods = {metric["Period"] for metric in inputs(alarm)}
    assert periods == {PROD.notify_after_minutes * 60}
    assert alarm["EvaluationPeriods"] * PROD.notify_after_minutes == minutes
    assert alarm["Threshold"] == 1
    assert expression(alarm).startswith("SUM(")
    # All event functions, and the relay.
    dimensions = [metric["Metric"].get("Dimensions", []) for metric in inputs(alarm)]
    assert sorted(d["Value"] for ds in dimensions for d in ds) == sorted(EVENT_NAMES)
    assert [] in dimensions


@pytest.mark.parametrize(("name", "minutes"), [("QueueDelay", 15), ("QueueDelayPersists", 60)])
def test_messages_that_wait_notify_after_a_quarter_hour_and_page_after_an_hour(prod, alarms, name, minutes):
    alarm = alarms[name]
    assert alarm["Threshold"] == minutes * 60
    assert expression(alarm).startswith("MAX(")
    watched = {metric["Metric"]["Dimensions"][0]["Value"]["Fn::GetAtt"][0] for metric in inputs(alarm)}
    queues = of_type(prod.pipeline, "AWS::SQS::Queue")
    assert watched == {name for name, queue in queues.items() if "RedrivePolicy" in queue}


def test_any_dead_lettered_message_notifies(prod, alarms):
    watched = {metric["Metric"]["Dimensions"][0]["Value"]["Fn::GetAtt"][0] for metric in inputs(alarms["DeadLetters"])}
    queues = of_type(prod.pipeline, "AWS::SQS::Queue")
    assert watched == {name for name, queue in queues.items() if "RedrivePolicy" not in queue}


def test_deliveries_lost_are_those_of_rules_on_a_custom_bus(prod, alarms):
    # A metric with `RuleName` alone belongs to the default bus.
    buses, rules = set(), set()
    for metric in inputs(alarms["DeliveriesLost"]):
        assert metric["Metric"]["MetricName"] == "InvocationsFailedToBeSentToDlq"
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric["Metric"]["Dimensions"]}
        buses.add(dimensions["EventBusName"]["Ref"])
        index, split = dimensions["RuleName"]["Fn::Select"]
        assert (index, split["Fn::Split"][0]) == (2, "/")  # of `…:rule/bus/rule`
        rules.add(arn_of(split["Fn::Split"][1]))
    assert buses == set(of_type(prod.pipeline, "AWS::Events::EventBus"))
    assert rules == {
        name for name, rule in of_type(prod.pipeline, "AWS::Events::Rule").items() if "EventPattern" in rule
    }


def test_functions_that_fail_as_a_whole_page_after_a_quarter_hour(prod, alarms):
    alarm = alarms["FunctionErrors"]
    assert (alarm["EvaluationPeriods"], {metric["Period"] for metric in inputs(alarm)}) == (3, {300})
    watched = {metric["Metric"]["Dimensions"][0]["Value"]["Ref"] for metric in inputs(alarm)}
    mapped = {
        mapping["FunctionName"]["Ref"] for mapping in of_type(prod.pipeline, "AWS::Lambda::EventSourceMapping").values()
    }
    assert watched == mapped


def test_silence_pages_after_the_hours_of_the_stage_once_canvas_is_connected(alarms):
    alarm = alarms["NoEvents"]
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (3600, PROD.silence_hours)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"
    unconnected = synthesise(PROD.model_copy(update={"canvas_connected": False}))
    assert "NoEvents" not in alarms_of(unconnected.pipeline)


def test_no_other_alarm_is_raised_by_missing_data(alarms):
    for name, alarm in alarms.items():
        if name != "NoEvents":
            assert alarm["TreatMissingData"] == "notBreaching"
            assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_thresholds_are_those_of_the_settings():
    changes = {"event_lag_minutes": 7, "notify_after_minutes": 10, "page_after_minutes": 30, "silence_hours": 5}
    changed = alarms_of(synthesise(PROD.model_copy(update=changes)).pipeline)
    assert changed["EventLag"]["Threshold"] == 7 * 60_000
    assert changed["Retries"]["EvaluationPeriods"] == 1
    assert changed["RetriesPersist"]["EvaluationPeriods"] == 3
    assert changed["QueueDelay"]["Threshold"] == 600
    assert changed["QueueDelayPersists"]["Threshold"] == 1800
    assert changed["NoEvents"]["EvaluationPeriods"] == 5


def test_no_alarm_evaluates_more_metrics_than_cloudwatch_allows(alarms):
    assert max(len(inputs(alarm)) for alarm in alarms.values()) <= 10


def test_recipients_are_subscribed_or_an_existing_topic_is_used():
    # GIVEN one severity by email, the other by an existing topic
    existing = "arn:aws:sns:us-east-1:111122223333:integration"
    pipeline = synthesise(
        PROD.model_copy(update={"page_emails": ("oncall@example.edu",), "notify_topic_arn": existing})
    ).pipeline
    (page,) = of_type(pipeline, "AWS::SNS::Topic")
    (subscription,) = of_type(pipeline, "AWS::SNS::Subscription").values()
    assert subscription == {"Endpoint": "oncall@example.edu", "Protocol": "email", "TopicArn": {"Ref": page}}
    assert alarms_of(pipeline)["Retries"]["AlarmActions"] == [existing]


@pytest.mark.parametrize(
    ("recipients", "mute"),
    [
        ({}, {"page", "notify"}),
        ({"page_emails": ("oncall@example.edu",)}, {"notify"}),
        ({"page_emails": ("a@example.edu",), "notify_topic_arn": "arn:aws:sns:us-east-1:111122223333:x"}, set()),
        ({"runs_on_emulator": True}, set()),
    ],
)
def test_synthesis_warns_of_a_severity_that_reaches_nobody(recipients, mute):
    app = App(context={"aws:cdk:bundling-stacks": []})
    _, pipeline = build(app, PROD.model_copy(update=recipients))
    warnings = Annotations.from_stack(pipeline).find_warning(
        "*", Match.string_like_regexp("of stage prod have no recipient")
    )
    warned = [re.search(r"The (\w+) alarms of stage", str(warning.entry.data)) for warning in warnings]
    assert {match and match[1] for match in warned} == mute


@pytest.fixture
def emitted(aws, prod, deliver, dead_letters, output):
    """Names and dimensions of all metrics that the functions emit."""
    Tables(prod.data)
    relay = import_module("functions.handlers.relay")
    boto3.client("events").create_event_bus(Name="canvas-live-events-test")
    for name in EVENT_NAMES:
        deliver(example(name))
        old = example(name, metadata={"event_time": "2001-01-01T00:00:00Z"})
        deliver(example(name), old, without(example(name), "body"), to=name)
    deliver(example("sis_batch_created", body={"workflow_state": "invented_later"}))
    schedule = {"time": "2020-01-16T04:00:00Z"}
    import_module("functions.handlers.import_monitor").handler(schedule, FunctionContext())
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
        (definition["Namespace"].replace("/test", "/prod"), metric["Name"], tuple(definition["Dimensions"][0]))
        for blob in blobs
        for definition in blob["_aws"]["CloudWatchMetrics"]
        for metric in definition["Metrics"]
    }


def dashboard_of(prod):
    """Body of the dashboard, with CloudFormation references replaced by a word."""
    (dashboard,) = of_type(prod.pipeline, "AWS::CloudWatch::Dashboard").values()
    parts = dashboard["DashboardBody"]["Fn::Join"][1]
    return json.loads("".join(part if isinstance(part, str) else "reference" for part in parts))


def test_no_widget_and_no_alarm_names_a_metric_that_nothing_emits(prod, alarms, emitted):
    # GIVEN every custom metric in a widget or an alarm
    named = set()
    for widget in dashboard_of(prod)["widgets"]:
        for namespace, metric, *dimensions in widget["properties"].get("metrics", []):
            if namespace.startswith("CanvasLiveState"):
                named.add((namespace, metric, tuple(d for d in dimensions[::2] if isinstance(d, str))))
    for alarm in alarms.values():
        for metric in (part["Metric"] for part in inputs(alarm)):
            if metric["Namespace"].startswith("CanvasLiveState"):
                dimensions = tuple(d["Name"] for d in metric.get("Dimensions", []))
                named.add((metric["Namespace"], metric["MetricName"], dimensions))

    # THEN the functions emit it in that namespace and with exactly those dimensions
    assert named
    assert named - emitted == set()


def test_nothing_adds_a_dimension_to_our_metrics_or_mixes_stages(prod):
    for function in of_type(prod.pipeline, "AWS::Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        assert variables["METRICS_NAMESPACE"] == NAMESPACE
        # It would become a dimension of every metric, so that no alarm would match.
        assert "POWERTOOLS_SERVICE_NAME" not in variables


def test_the_top_row_of_the_dashboard_answers_whether_it_is_healthy(prod, alarms):
    widgets = dashboard_of(prod)["widgets"]
    (top,) = [widget for widget in widgets if widget["y"] == 0]
    assert top["properties"]["title"] == "Is it healthy?"
    assert len(top["properties"]["alarms"]) == len(alarms)
    # Rows are full and do not overlap.
    for y in {widget["y"] for widget in widgets}:
        assert sum(widget["width"] for widget in widgets if widget["y"] == y) == 24


def test_the_dashboard_has_throttles_retries_and_dead_lettered_messages(prod):
    titles = {widget["properties"]["title"] for widget in dashboard_of(prod)["widgets"]}
    assert {"Function throttles", "Table throttles and errors", "Retried", "Dead-lettered messages"} <= titles


def test_the_import_monitor_runs_every_hour(prod):
    (rule,) = (rule for rule in of_type(prod.pipeline, "AWS::Events::Rule").values() if "ScheduleExpression" in rule)
    monitor = of_type(prod.pipeline, "AWS::Lambda::Function")[arn_of(rule["Targets"][0]["Arn"])]
    assert rule["ScheduleExpression"] == "rate(1 hour)"
    assert monitor["Handler"] == "functions.handlers.import_monitor.handler"
    assert monitor["Environment"]["Variables"]["STUCK_IMPORT_HOURS"] == str(PROD.stuck_import_hours)
