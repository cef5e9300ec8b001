"""Permissions of the reconciliation. A permission that is not listed here fails a test."""

import json

import pytest

from tests.infra.conftest import CANVAS_SECRET
from tests.infra.templates import of_type, run_functions

MACHINE = "arn:aws:states:us-east-1:111122223333:stateMachine:canvas-live-state-prod-reconciliation"
RUNS = MACHINE.replace("stateMachine", "execution") + ":*"
ITEMS = MACHINE.replace("stateMachine", "execution") + "/*"
RUN_NUMBER = "arn:aws:ssm:us-east-1:111122223333:parameterRunNumber"  # the name begins with a slash
MAPS = MACHINE.replace("stateMachine", "mapRun") + "/*"

CANVAS_DATA_SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:canvas-data-??????"
OBJECTS, REPORTS, PARTS = "Bucket/runs/*", "Bucket/runs/*/report.json", "Bucket/runs/*/parts.json"
SECRET, GET, PUT, LIST = "secretsmanager:GetSecretValue", "s3:GetObject", "s3:PutObject", "s3:ListBucket"
QUEUES = ("EnrollmentUpdatedQueue", "EnrollmentStateUpdatedQueue", "SisBatchUpdatedQueue")

IMPORTS = {
    (SECRET, CANVAS_SECRET),
    ("dynamodb:BatchGetItem", "SisBatches"),
    ("dynamodb:Scan", "SisBatches/index/unfinished"),
}
ALLOWED = {
    "request": {
        (SECRET, CANVAS_DATA_SECRET),
        ("states:ListExecutions", MACHINE),
        ("ssm:PutParameter", RUN_NUMBER),
        (LIST, "Bucket"),
        (GET, REPORTS),
    },
    "poll": {(SECRET, CANVAS_DATA_SECRET), (PUT, OBJECTS)},
    "compare": {(SECRET, CANVAS_DATA_SECRET), ("dynamodb:BatchGetItem", "Enrollments"), (PUT, OBJECTS)},
    "compare_imports": {*IMPORTS, (PUT, OBJECTS)},
    "decide": {
        (SECRET, CANVAS_DATA_SECRET),
        ("dynamodb:DescribeTable", "Enrollments"),
        ("dynamodb:DescribeTable", "SisBatches"),
        (LIST, "Bucket"),
        (GET, OBJECTS),
        (PUT, OBJECTS),
    },
    "publish": {
        ("events:PutEvents", "Bus"),
        *(("sqs:GetQueueAttributes", queue) for queue in QUEUES),
        (GET, OBJECTS),
    },
    "conclude": {(GET, REPORTS)},
    "unfinished_imports": {*IMPORTS, ("events:PutEvents", "Bus")},
    "run_monitor": {("states:ListExecutions", MACHINE), ("states:DescribeStateMachine", MACHINE)},
}
STEPS = ALLOWED.keys() - {"run_monitor", "unfinished_imports"}


@pytest.fixture(scope="module")
def template(reconciled):
    return reconciled.pipeline


@pytest.fixture(scope="module")
def permissions(template):
    """Allowed actions with their resources, by role of the reconciliation."""
    allowed: dict[str, set[tuple[str, str]]] = {}
    for policy in of_type(template, "AWS::IAM::Policy").values():
        (role,) = (role["Ref"] for role in policy["Roles"])
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            assert "Condition" not in statement
            allowed.setdefault(role, set()).update(
                (action, name_of(resource))
                for action in listed(statement["Action"])
                for resource in listed(statement["Resource"])
            )
    return allowed


def listed(value):
    return value if isinstance(value, list) else [value]


def name_of(resource):
    """The ARN, or the construct name and the rest of the reference."""
    match resource:
        case str():
            return resource
        case {"Fn::Join": [_, parts]}:
            return "".join(map(name_of, parts)).removeprefix("arn:aws:s3:::")
        case {"Fn::ImportValue": name}:
            return "Enrollments" if "Enrollments" in name else "SisBatches"
        case {"Fn::GetAtt": [logical_id, "Arn"]} | {"Ref": logical_id}:
            pseudo = {"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "111122223333"}
            return pseudo.get(logical_id, logical_id.removeprefix("Reconciliation")[:-8])
    raise AssertionError(resource)


def role_of(function):
    return function["Role"]["Fn::GetAtt"][0]


@pytest.mark.parametrize("step", sorted(ALLOWED))
def test_a_function_may_do_what_its_handler_does_and_write_its_log(template, permissions, step):
    _, function = run_functions(template)[step]
    log = name_of(function["LoggingConfig"]["LogGroup"])
    written = {("logs:CreateLogStream", log), ("logs:PutLogEvents", log)}
    assert permissions[role_of(function)] == ALLOWED[step] | written


def test_the_state_machine_may_run_the_steps_read_its_lists_ask_about_itself_and_notify(template, permissions):
    (machine,) = of_type(template, "AWS::StepFunctions::StateMachine").values()
    functions = {step: name_of({"Ref": logical_id}) for step, (logical_id, _) in run_functions(template).items()}
    assert permissions[machine["RoleArn"]["Fn::GetAtt"][0]] == {
        *(("lambda:InvokeFunction", functions[step]) for step in STEPS),
        (GET, PARTS),
        (LIST, "Bucket"),
        ("states:StartExecution", MACHINE),  # for the items of its maps
        *((f"states:{action}", of) for action in ("DescribeExecution", "StopExecution") for of in (RUNS, ITEMS)),
        ("states:ListMapRuns", RUNS),
        *(("states:ListExecutions", of) for of in (MACHINE, MAPS)),
        ("sns:Publish", "MonitoringAlarmsNotify"),
    }


def test_each_schedule_may_start_its_target_and_nothing_else(template, permissions):
    for schedule in of_type(template, "AWS::Scheduler::Schedule").values():
        role = schedule["Target"]["RoleArn"]["Fn::GetAtt"][0]
        (allowed,) = permissions[role]
        target = name_of(schedule["Target"]["Arn"])
        action = "states:StartExecution" if "StateMachine" in target else "lambda:InvokeFunction"
        assert allowed == (action, target)
        (statement,) = of_type(template, "AWS::IAM::Role")[role]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
        assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
        assert "schedule-group/default" in str(statement["Condition"]["StringEquals"]["aws:SourceArn"])


def test_no_role_has_more_than_its_policy(template, permissions):
    roles = of_type(template, "AWS::IAM::Role")
    assert permissions.keys() == roles.keys()
    for role in roles.values():
        assert set(role) == {"AssumeRolePolicyDocument", "Tags"}


def test_only_functions_of_the_runs_reach_the_bucket_and_the_secrets(template, permissions):
    functions = {role_of(function) for _, function in run_functions(template).values()}
    (machine,) = of_type(template, "AWS::StepFunctions::StateMachine").values()
    functions.add(machine["RoleArn"]["Fn::GetAtt"][0])
    reach = {role for role, allowed in permissions.items() if any(a.startswith(("s3:", "secrets")) for a, _ in allowed)}
    assert reach <= functions


def test_operators_may_start_look_at_and_stop_runs_and_read_no_row(prod, template):
    # GIVEN the policy of operators with and without the reconciliation
    def allowed(pipeline):
        (policy,) = of_type(pipeline, "AWS::IAM::ManagedPolicy").values()
        return {
            (action, name_of(resource))
            for statement in policy["PolicyDocument"]["Statement"]
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        }

    # THEN it adds access to runs, and neither to the bucket nor to a secret
    assert allowed(template) - allowed(prod.pipeline) == {
        *((f"states:{action}", "WorkflowStateMachine") for action in ("DescribeStateMachine", "ListExecutions")),
        ("states:StartExecution", "WorkflowStateMachine"),
        *((f"states:{action}", RUNS) for action in ("DescribeExecution", "ListMapRuns", "StopExecution")),
        ("states:DescribeMapRun", MAPS),
    }
    assert allowed(prod.pipeline) <= allowed(template)


def test_the_operators_policy_is_not_larger_than_iam_allows(template):
    # GIVEN the deployed policy, with names longer than any in use
    def deployed(value):
        match value:
            case dict() if value.keys() & {"Fn::GetAtt", "Fn::ImportValue", "Fn::Join", "Ref"}:
                return name_of(value).ljust(110, "x")
            case dict():
                return {key: deployed(each) for key, each in value.items()}
            case list():
                return [deployed(each) for each in value]
        return value

    (policy,) = of_type(template, "AWS::IAM::ManagedPolicy").values()
    document = json.dumps(deployed(policy["PolicyDocument"]), separators=(",", ":"))

    # THEN it has at most 6,144 characters. Source: IAM user guide, "IAM and AWS STS quotas".
    assert len(document) < 6144
