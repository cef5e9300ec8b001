"""Wiring of each route: one rule, queue, function and handler."""

import json
from importlib import import_module
from pathlib import Path

import boto3
import pytest

from functions import handlers
from functions.routes import ROUTES
from testbed.events import EVENT_NAMES, example
from testbed.stacks import PROD
from tests.infra.templates import arn_of, consumer_of, functions_by_event, ingestion_queue, of_type, rules_of_events


@pytest.fixture(scope="module")
def rules(prod):
    return rules_of_events(prod.pipeline)


def test_route_rule_queue_function_and_handler_are_a_bijection(prod, rules):
    # GIVEN the function of the queue of each rule
    wired = {event_name: function["Handler"] for event_name, function in functions_by_event(prod.pipeline).items()}

    # THEN they are those of the routes, each once, and every handler file is used
    assert wired == {route.event_name: route.handler for route in ROUTES}
    assert len({arn_of(rule["Targets"][0]["Arn"]) for rule in rules.values()}) == len(ROUTES)
    files = {path.stem for path in Path(handlers.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == {*wired, "relay", "import_monitor"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.event_name)
def test_a_route_leads_to_a_handler_of_its_event(route):
    module, attribute = route.handler.rsplit(".", 1)
    assert callable(getattr(import_module(module), attribute))
    assert import_module(module).__doc__ == f"Handler of {route.event_name} events."


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_a_rule_matches_its_event_of_our_sources_and_no_other(aws, rules, event_name):
    # GIVEN a bus with the pattern of the rule, and a queue as its target
    events, sqs = boto3.client("events"), boto3.client("sqs")
    queue = sqs.create_queue(QueueName="matched")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="rule", EventPattern=json.dumps(rules[event_name]["EventPattern"]))
    events.put_targets(Rule="rule", Targets=[{"Id": "queue", "Arn": arn}])

    # WHEN all six examples are put on the bus by three sources
    for source in ("canvas", "canvas-live-state", "someone.else"):
        events.put_events(
            Entries=[
                {"Source": source, "DetailType": name, "Detail": json.dumps(example(name))} for name in EVENT_NAMES
            ]
        )

    # THEN the rule matches its event, from Canvas and as a correction
    matched = [json.loads(m["Body"]) for m in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]]
    assert sorted((event["source"], event["detail-type"]) for event in matched) == [
        ("canvas", event_name),
        ("canvas-live-state", event_name),
    ]


def test_what_eventbridge_cannot_deliver_goes_to_the_dead_letter_queue_of_the_events_queue(prod, rules):
    queues = of_type(prod.pipeline, "AWS::SQS::Queue")
    for rule in rules.values():
        (target,) = rule["Targets"]
        queue = queues[arn_of(target["Arn"])]
        assert target["DeadLetterConfig"]["Arn"] == queue["RedrivePolicy"]["deadLetterTargetArn"]
        # Default of EventBridge: 24 hours and 185 attempts.
        assert "RetryPolicy" not in target


def test_eventbridge_may_fill_the_queue_and_the_dead_letter_queue_of_each_rule_and_no_other(prod):
    # GIVEN the rules that each queue policy allows
    admitted = {
        policy["Queues"][0]["Ref"]: arn_of(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
        for policy in of_type(prod.pipeline, "AWS::SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and statement["Principal"] == {"Service": "events.amazonaws.com"}
    }

    # THEN they are the rules whose target or dead-letter queue it is
    sent = {
        queue: logical_id
        for logical_id, rule in of_type(prod.pipeline, "AWS::Events::Rule").items()
        if "EventPattern" in rule
        for queue in (arn_of(rule["Targets"][0]["Arn"]), arn_of(rule["Targets"][0]["DeadLetterConfig"]["Arn"]))
    }
    assert admitted == sent


def test_the_relay_forwards_only_when_every_rule_and_every_queue_policy_is_there(prod):
    # GIVEN the function of the relay and its event source mapping
    resources = prod.pipeline["Resources"]
    _, mapping = consumer_of(prod.pipeline, ingestion_queue(prod.pipeline))
    (mapping_resource,) = (resource for resource in resources.values() if resource["Properties"] is mapping)
    relay_resource = resources[mapping["FunctionName"]["Ref"]]

    # THEN both depend on the rule and the policies of queue and dead-letter queue of every route
    ruled = {
        queue
        for rule in rules_of_events(prod.pipeline).values()
        for queue in (arn_of(rule["Targets"][0]["Arn"]), arn_of(rule["Targets"][0]["DeadLetterConfig"]["Arn"]))
    }
    needed = {
        logical_id
        for logical_id, resource in resources.items()
        if (resource["Type"] == "AWS::Events::Rule" and "EventPattern" in resource["Properties"])
        or (resource["Type"] == "AWS::SQS::QueuePolicy" and resource["Properties"]["Queues"][0]["Ref"] in ruled)
    }
    assert len(needed) == 3 * len(ROUTES)
    assert needed <= set(relay_resource["DependsOn"])
    assert needed <= set(mapping_resource["DependsOn"])


def test_batches_are_of_ten_gathered_for_a_while_bounded_and_answered_message_by_message(prod):
    settings = PROD
    mappings = of_type(prod.pipeline, "AWS::Lambda::EventSourceMapping").values()
    assert len(mappings) == len(ROUTES) + 1
    for mapping in mappings:
        assert mapping["BatchSize"] == 10
        assert mapping["MaximumBatchingWindowInSeconds"] == settings.batching_window_seconds
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        relay = arn_of(mapping["EventSourceArn"]) == ingestion_queue(prod.pipeline)
        concurrency = settings.relay_concurrency if relay else settings.function_concurrency
        assert mapping["ScalingConfig"] == {"MaximumConcurrency": concurrency}


def test_a_function_sends_what_it_rejects_to_the_dead_letter_queue_of_its_queue(prod):
    queues = of_type(prod.pipeline, "AWS::SQS::Queue")
    for mapping in of_type(prod.pipeline, "AWS::Lambda::EventSourceMapping").values():
        function, _ = consumer_of(prod.pipeline, arn_of(mapping["EventSourceArn"]))
        queue = queues[arn_of(mapping["EventSourceArn"])]
        dead_letters = arn_of(queue["RedrivePolicy"]["deadLetterTargetArn"])
        assert function["Environment"]["Variables"]["DEAD_LETTER_QUEUE_URL"] == {"Ref": dead_letters}


def test_each_function_is_given_its_own_settings(prod):
    # GIVEN the environment variables of every function, without that of its dead-letter queue
    variables = {
        function["Handler"].split(".")[2]: function["Environment"]["Variables"]
        for function in of_type(prod.pipeline, "AWS::Lambda::Function").values()
    }
    everywhere = {"METRICS_NAMESPACE": "CanvasLiveState/prod"}
    given = {
        handler: {name: value for name, value in of_handler.items() if name != "DEAD_LETTER_QUEUE_URL"}
        for handler, of_handler in variables.items()
    }

    # THEN each has exactly those that it needs, with values of this stage
    def table(logical_id):
        (name,) = (export for export in exported if f"Ref{logical_id}" in export)
        return {"Fn::ImportValue": name}

    exported = [output["Export"]["Name"] for output in prod.data["Outputs"].values() if "Export" in output]
    tolerance = {"FUTURE_TOLERANCE_MINUTES": str(PROD.future_tolerance_minutes)}
    enrollments, sis_batches = {"ENROLLMENTS_TABLE": table("Enrollments")}, {"SIS_BATCHES_TABLE": table("SisBatches")}
    (bus,) = of_type(prod.pipeline, "AWS::Events::EventBus")
    monitor = sis_batches | {"UNFINISHED_INDEX": "unfinished", "STUCK_IMPORT_HOURS": str(PROD.stuck_import_hours)}
    assert given == {
        **{
            route.event_name: (enrollments if route.table == "enrollments" else sis_batches) | tolerance | everywhere
            for route in ROUTES
        },
        "relay": {"EVENT_BUS": {"Ref": bus}, "ROOT_ACCOUNT_IDS": " ".join(PROD.root_account_ids)} | everywhere,
        "import_monitor": monitor | everywhere,
    }
    assert len(PROD.root_account_ids) > 1


def test_functions_run_where_their_asset_was_built_for(prod):
    for function in of_type(prod.pipeline, "AWS::Lambda::Function").values():
        assert function["Runtime"] == "python3.13"
        assert function["Architectures"] == ["arm64"]


def test_the_log_has_an_end_no_lines_of_the_platform_and_every_metric(prod):
    groups = of_type(prod.pipeline, "AWS::Logs::LogGroup")
    assert all(group["RetentionInDays"] == PROD.log_days for group in groups.values())
    for function in of_type(prod.pipeline, "AWS::Lambda::Function").values():
        config = dict(function["LoggingConfig"])
        assert config.pop("LogGroup")["Ref"] in groups
        # Lines in the embedded metric format have level INFO: a higher level would drop all metrics.
        assert config == {"LogFormat": "JSON", "SystemLogLevel": "WARN", "ApplicationLogLevel": "INFO"}


def test_the_bus_is_archived(prod):
    (archive,) = of_type(prod.pipeline, "AWS::Events::Archive").values()
    assert archive["RetentionDays"] == PROD.archive_days
