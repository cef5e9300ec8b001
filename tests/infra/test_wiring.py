"""Route, rule, function and handler belong together, one of each; and each failure has a queue."""

import json
from importlib import import_module
from pathlib import Path

import boto3
import pytest

from functions import handlers
from functions.routes import ROUTES
from tests.canvas import EVENT_NAMES, example
from tests.templates import event_of, function_of, of_type


@pytest.fixture(scope="module")
def rules(prod):
    return of_type(prod.processing, "AWS::Events::Rule")


@pytest.fixture(scope="module")
def functions(prod):
    return of_type(prod.processing, "AWS::Lambda::Function")


@pytest.fixture(scope="module")
def queues(prod):
    return of_type(prod.processing, "AWS::SQS::Queue")


def test_route_rule_function_and_handler_are_a_bijection(rules, functions):
    # GIVEN what each rule sends to which handler
    wired = {event_of(rule): functions[function_of(rule)]["Handler"] for rule in rules.values()}

    # THEN it is what the routes say, each once, and every handler file is used
    assert len(rules) == len(ROUTES) == len(functions) - 1  # the relay
    assert wired == {route.event_name: route.handler for route in ROUTES}
    files = {path.stem for path in Path(handlers.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(wired)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.event_name)
def test_a_route_leads_to_a_handler_of_its_event(route):
    module, attribute = route.handler.rsplit(".", 1)
    assert callable(getattr(import_module(module), attribute))
    assert import_module(module).__doc__.startswith(f"{route.event_name}: ")


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_a_rule_takes_its_event_and_refuses_the_others(aws, rules, event_name):
    # GIVEN a bus with the rule's real pattern, and a queue behind it
    (pattern,) = (rule["EventPattern"] for rule in rules.values() if event_of(rule) == event_name)
    events, sqs = boto3.client("events"), boto3.client("sqs")
    queue = sqs.create_queue(QueueName="matched")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="rule", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="rule", Targets=[{"Id": "queue", "Arn": arn}])

    # WHEN all six examples are put on the bus
    events.put_events(
        Entries=[{"Source": "canvas", "DetailType": name, "Detail": json.dumps(example(name))} for name in EVENT_NAMES]
    )

    # THEN the rule took one: its own
    matched = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"])["detail-type"] for message in matched] == [event_name]


def test_every_rule_and_every_function_has_a_dead_letter_queue_of_its_own(rules, functions, queues):
    # GIVEN the queue of each rule's target and of each function that a rule invokes
    of_rules = [rule["Targets"][0]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] for rule in rules.values()]
    of_functions = [
        functions[function_of(rule)]["DeadLetterConfig"]["TargetArn"]["Fn::GetAtt"][0] for rule in rules.values()
    ]

    # THEN none is shared, and all exist
    dead_letter_queues = of_rules + of_functions
    assert len(set(dead_letter_queues)) == 12
    assert set(dead_letter_queues) <= set(queues)


def test_eventbridge_may_fill_the_dead_letter_queue_of_each_rule(prod, rules):
    allowed = {
        policy["Queues"][0]["Ref"]
        for policy in of_type(prod.processing, "AWS::SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and statement["Principal"] == {"Service": "events.amazonaws.com"}
    }
    assert allowed == {rule["Targets"][0]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] for rule in rules.values()}


def test_lambda_tries_again_before_it_gives_up(prod, functions):
    configured = of_type(prod.processing, "AWS::Lambda::EventInvokeConfig").values()
    assert len(configured) == 6
    assert {config["MaximumRetryAttempts"] for config in configured} == {2}


def test_a_function_outlives_two_calls_whose_every_attempt_times_out(functions):
    from functions import runtime

    # GIVEN the longest that the SDKs' standard retries take: attempts, and pauses of 1 and 2 seconds at most
    pauses = sum(2**attempt for attempt in range(runtime.ATTEMPTS - 1))
    call = runtime.ATTEMPTS * (runtime.CONNECT_SECONDS + runtime.READ_SECONDS) + pauses

    # THEN a stale import event, which makes two calls, still fails by its own error and not by Lambda's clock
    for function in functions.values():
        assert function["Timeout"] > 2 * call


def test_functions_run_where_their_asset_was_built_for(functions):
    for function in functions.values():
        assert function["Runtime"] == "python3.13"
        assert function["Architectures"] == ["arm64"]
        assert set(function["LoggingConfig"]) == {"LogGroup"}


def test_every_log_has_an_end(prod):
    groups = of_type(prod.processing, "AWS::Logs::LogGroup").values()
    assert len(groups) == 7
    assert all(group["RetentionInDays"] == 90 for group in groups)


def test_the_bus_is_archived(prod):
    (archive,) = of_type(prod.processing, "AWS::Events::Archive").values()
    assert archive["RetentionDays"] == 30
