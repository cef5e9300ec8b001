"""Every permission of every function, enumerated: what is not listed here fails the test."""

import pytest

from functions.routes import ROUTES
from tests.templates import event_of, function_of, of_type


@pytest.fixture(scope="module")
def permissions(prod):
    """Per role, what its policies allow: actions and the logical ids of the resources."""
    allowed = {}
    for policy in of_type(prod.processing, "AWS::IAM::Policy").values():
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
    return resource["Fn::ImportValue"]


def role_of(function):
    return function["Role"]["Fn::GetAtt"][0]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.event_name)
def test_a_function_may_log_update_its_own_table_and_fill_its_own_queue(prod, permissions, route):
    # GIVEN the function of the route's rule
    functions = of_type(prod.processing, "AWS::Lambda::Function")
    (function,) = (
        functions[function_of(rule)]
        for rule in of_type(prod.processing, "AWS::Events::Rule").values()
        if event_of(rule) == route.event_name
    )

    # THEN its role is its own, and allows three things
    table = {"enrollments": "Enrollments4D8328BC", "sis_batches": "SisBatchesF3162930"}[route.table]
    update, log, dead_letter = permissions[role_of(function)]
    assert update[0] == ["dynamodb:UpdateItem"]
    assert update[1].startswith(f"canvas-live-state-prod-state:ExportsOutputFnGetAtt{table}Arn")
    assert log == (["logs:CreateLogStream", "logs:PutLogEvents"], function["LoggingConfig"]["LogGroup"]["Ref"])
    assert dead_letter == (["sqs:SendMessage"], function["DeadLetterConfig"]["TargetArn"]["Fn::GetAtt"][0])


def test_the_relay_may_log_take_from_the_front_door_and_put_on_the_bus(prod, permissions):
    (relay,) = (
        function
        for function in of_type(prod.processing, "AWS::Lambda::Function").values()
        if "relay" in function["Handler"]
    )
    (bus,) = of_type(prod.processing, "AWS::Events::EventBus")
    (mapping,) = of_type(prod.processing, "AWS::Lambda::EventSourceMapping").values()
    assert permissions[role_of(relay)] == sorted(
        [
            (["events:PutEvents"], bus),
            (["logs:CreateLogStream", "logs:PutLogEvents"], relay["LoggingConfig"]["LogGroup"]["Ref"]),
            (
                [
                    "sqs:ChangeMessageVisibility",
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes",
                    "sqs:GetQueueUrl",
                    "sqs:ReceiveMessage",
                ],
                mapping["EventSourceArn"]["Fn::GetAtt"][0],
            ),
        ]
    )


def test_no_role_has_more_than_its_policy(prod):
    roles = of_type(prod.processing, "AWS::IAM::Role")
    functions = of_type(prod.processing, "AWS::Lambda::Function").values()
    assert sorted(map(role_of, functions)) == sorted(roles)
    for role in roles.values():
        assert set(role) == {"AssumeRolePolicyDocument", "Tags"}


def test_readers_may_read_and_nothing_else(prod):
    (policy,) = of_type(prod.state, "AWS::IAM::ManagedPolicy").values()
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
        "dynamodb:Query",
    ]
    assert "*" not in str(policy["PolicyDocument"])


def test_only_its_own_rule_may_invoke_a_function(prod):
    invokers = {
        permission["FunctionName"]["Fn::GetAtt"][0]: permission
        for permission in of_type(prod.processing, "AWS::Lambda::Permission").values()
    }
    rules = of_type(prod.processing, "AWS::Events::Rule")
    assert len(invokers) == len(rules) == 6
    for rule_id, rule in rules.items():
        assert invokers[function_of(rule)] == {
            "Action": "lambda:InvokeFunction",
            "FunctionName": rule["Targets"][0]["Arn"],
            "Principal": "events.amazonaws.com",
            "SourceArn": {"Fn::GetAtt": [rule_id, "Arn"]},
        }


def test_every_queue_policy_denies_plain_http_and_admits_only_canvas_and_eventbridge(prod):
    policies = of_type(prod.processing, "AWS::SQS::QueuePolicy").values()
    assert len(policies) == len(of_type(prod.processing, "AWS::SQS::Queue")) == 14
    for policy in policies:
        denied, *allowed = policy["PolicyDocument"]["Statement"]
        assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
        for statement in allowed:
            assert statement["Action"] == "sqs:SendMessage"
            if statement["Principal"] == {"Service": "events.amazonaws.com"}:
                assert set(statement["Condition"]["ArnEquals"]) == {"aws:SourceArn"}
            else:
                assert "636161780776" in str(statement["Principal"])


def test_there_is_no_other_kind_of_permission(prod):
    kinds = {
        resource["Type"]
        for template in (prod.state, prod.processing, prod.monitoring)
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
