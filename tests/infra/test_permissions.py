"""Permissions of all functions. A permission that is not listed here fails a test."""

import pytest

from functions.routes import ROUTES
from tests.infra.templates import arn_of, consumer_of, functions_by_event, ingestion_queue, of_type


@pytest.fixture(scope="module")
def permissions(prod):
    """Allowed actions by role, with the logical ids of the resources."""
    allowed: dict[str, list[tuple[list[str], str]]] = {}
    for policy in of_type(prod.pipeline, "AWS::IAM::Policy").values():
        (role,) = (role["Ref"] for role in policy["Roles"])
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            assert "Condition" not in statement
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            allowed.setdefault(role, []).append((sorted(actions), resource_name(statement["Resource"])))
    return {role: sorted(statements) for role, statements in allowed.items()}


def resource_name(resource):
    if "Fn::GetAtt" in resource:
        return resource["Fn::GetAtt"][0]
    if "Fn::Join" in resource:
        return "".join(part if isinstance(part, str) else resource_name(part) for part in resource["Fn::Join"][1])
    return resource["Fn::ImportValue"]


def role_of(function):
    return function["Role"]["Fn::GetAtt"][0]


def log_of(function):
    return (["logs:CreateLogStream", "logs:PutLogEvents"], function["LoggingConfig"]["LogGroup"]["Ref"])


def consumption(prod, function):
    """Permissions of the consumer of a queue: those of an event source mapping, and dead-lettering."""
    (source,) = (
        arn_of(mapping["EventSourceArn"])
        for mapping in of_type(prod.pipeline, "AWS::Lambda::EventSourceMapping").values()
        if consumer_of(prod.pipeline, arn_of(mapping["EventSourceArn"]))[0] is function
    )
    redrive = of_type(prod.pipeline, "AWS::SQS::Queue")[source]["RedrivePolicy"]
    actions = ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage"]
    return [
        ([f"sqs:{action}" for action in actions], source),
        (["sqs:SendMessage"], arn_of(redrive["deadLetterTargetArn"])),
    ]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.event_name)
def test_a_function_may_log_update_its_own_table_and_consume_its_own_queue(prod, permissions, route):
    # GIVEN the function of the route
    function = functions_by_event(prod.pipeline)[route.event_name]

    # THEN its role allows that, one statement each, and nothing else
    update, *others = sorted(permissions[role_of(function)])
    table = {"enrollments": "Enrollments4D8328BC", "sis_batches": "SisBatchesF3162930"}[route.table]
    assert update[0] == ["dynamodb:UpdateItem"]
    assert update[1].startswith(f"canvas-live-state-prod-data:ExportsOutputFnGetAtt{table}Arn")
    assert others == sorted([log_of(function), *consumption(prod, function)])


def test_the_relay_may_log_consume_the_ingestion_queue_and_put_on_the_bus(prod, permissions):
    relay, _ = consumer_of(prod.pipeline, ingestion_queue(prod.pipeline))
    (bus,) = of_type(prod.pipeline, "AWS::Events::EventBus")
    assert permissions[role_of(relay)] == sorted(
        [(["events:PutEvents"], bus), log_of(relay), *consumption(prod, relay)]
    )


def test_the_import_monitor_may_log_and_scan_one_index(prod, permissions):
    (monitor,) = (
        function
        for function in of_type(prod.pipeline, "AWS::Lambda::Function").values()
        if function["Handler"] == "functions.handlers.import_monitor.handler"
    )
    scan, log = permissions[role_of(monitor)]
    assert scan[0] == ["dynamodb:Scan"]
    assert scan[1].startswith("canvas-live-state-prod-data:ExportsOutputFnGetAttSisBatchesF3162930Arn")
    assert scan[1].endswith("/index/unfinished")
    assert log == log_of(monitor)


def test_no_role_has_more_than_its_policy(prod):
    roles = of_type(prod.pipeline, "AWS::IAM::Role")
    functions = of_type(prod.pipeline, "AWS::Lambda::Function").values()
    assert sorted(map(role_of, functions)) == sorted(roles)
    for role in roles.values():
        assert set(role) == {"AssumeRolePolicyDocument", "Tags"}


def test_readers_may_read_and_nothing_else(prod):
    (policy,) = of_type(prod.data, "AWS::IAM::ManagedPolicy").values()
    statements = policy["PolicyDocument"]["Statement"]
    (scan,) = [statement for statement in statements if statement["Action"] == "dynamodb:Scan"]
    assert scan["Resource"]["Fn::Join"][1][1] == "/index/unfinished"
    actions = [action for statement in statements if statement is not scan for action in statement["Action"]]
    assert sorted(actions) == [
        "dynamodb:BatchGetItem",
        "dynamodb:DescribeStream",
        "dynamodb:GetItem",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
        "dynamodb:Query",
        "ssm:GetParameter",
        "ssm:GetParameters",
    ]
    assert "*" not in str(policy["PolicyDocument"])


def test_only_its_own_schedule_may_invoke_the_import_monitor_and_only_lambda_the_others(prod):
    (permission,) = of_type(prod.pipeline, "AWS::Lambda::Permission").values()
    ((schedule, rule),) = (
        (logical_id, rule)
        for logical_id, rule in of_type(prod.pipeline, "AWS::Events::Rule").items()
        if "ScheduleExpression" in rule
    )
    assert permission == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": rule["Targets"][0]["Arn"],
        "Principal": "events.amazonaws.com",
        "SourceArn": {"Fn::GetAtt": [schedule, "Arn"]},
    }


def test_a_queue_policy_admits_only_canvas_and_the_queues_own_rule(prod):
    for policy in of_type(prod.pipeline, "AWS::SQS::QueuePolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            if statement["Principal"] == {"Service": "events.amazonaws.com"}:
                assert set(statement["Condition"]["ArnEquals"]) == {"aws:SourceArn"}
            else:
                assert "636161780776" in str(statement["Principal"])
                assert statement["Action"] == "sqs:SendMessage"


def test_there_is_no_other_kind_of_permission(prod):
    kinds = {
        resource["Type"]
        for template in (prod.data, prod.pipeline)
        for resource in template["Resources"].values()
        if "IAM" in resource["Type"] or "Polic" in resource["Type"] or "Permission" in resource["Type"]
    }
    assert kinds == {
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::Permission",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    }


def test_operators_may_do_what_ops_does_and_nothing_else(prod):
    # GIVEN the policy of operators: actions by kind of resource
    (policy,) = of_type(prod.pipeline, "AWS::IAM::ManagedPolicy").values()
    allowed = {action for statement in policy["PolicyDocument"]["Statement"] for action in listed(statement["Action"])}

    # THEN it allows to read, send, receive and replay; not to write items, change resources or pass roles
    assert allowed == {
        *("cloudformation:DescribeStacks", "cloudformation:ListStackResources"),
        *("cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData"),
        *("cloudwatch:SetAlarmState",),
        *("dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"),
        *(
            "events:CancelReplay",
            "events:DescribeArchive",
            "events:DescribeEventBus",
            "events:DescribeReplay",
            "events:ListArchives",
        ),
        *("events:ListRules", "events:PutEvents", "events:StartReplay", "events:TestEventPattern"),
        *("lambda:ListEventSourceMappings", "sns:ListSubscriptionsByTopic"),
        *("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
        *("sqs:SendMessage",),
    }


def listed(value):
    return value if isinstance(value, list) else [value]
