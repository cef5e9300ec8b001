"""A stage reads only the stacks that a command needs, and explains failed deployments."""

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.settings import Settings
from ops.failure import OperatorError
from ops.session import open_session
from ops.stage import Stage
from tests.unit.ops.stages import ON_THE_EMULATOR, REGION, ScriptedClient

STACK = "canvas-live-state-test-pipeline"


class CloudFormation(ScriptedClient):
    """CloudFormation with the stacks in `states`, and outputs for those in `outputs`."""

    def __init__(self, states, outputs=()):
        self.asked: list[str] = []

        def describe_stacks(*, StackName):  # noqa: N803
            self.asked.append(StackName)
            if StackName not in states:
                raise ClientError({"Error": {"Code": "ValidationError", "Message": "does not exist"}}, "DescribeStacks")
            described = [{"OutputKey": name, "OutputValue": name} for name in outputs]
            return {"Stacks": [{"StackStatus": states[StackName], "Outputs": described}]}

        def list_stack_resources(*, StackName):  # noqa: N803
            describe_stacks(StackName=StackName)
            return {"StackResourceSummaries": []}

        super().__init__(describe_stacks=describe_stacks, list_stack_resources=list_stack_resources)


def stage_with(cloudformation, **settings):
    stage = Stage(Settings(stage="test", **settings), boto3.Session(region_name=REGION))
    stage._clients["cloudformation"] = cloudformation
    return stage


def test_a_command_needs_only_the_stack_that_it_reads():
    # GIVEN a data stack, and no pipeline yet
    cloudformation = CloudFormation({"canvas-live-state-test-data": "CREATE_COMPLETE"}, ["EnrollmentsTable"])

    # WHEN a table is read twice, THEN the pipeline stack is not described
    stage = stage_with(cloudformation)
    assert stage.table("enrollments") == stage.table("enrollments") == "EnrollmentsTable"
    assert cloudformation.asked == ["canvas-live-state-test-data"]


@pytest.mark.parametrize(
    ("state", "words", "command"),
    [
        (None, "does not exist in this account and region", "make deploy STAGE=test"),
        ("REVIEW_IN_PROGRESS", "a change set was made for it and never executed", "make deploy STAGE=test"),
        ("ROLLBACK_COMPLETE", "its first deployment failed", "make deploy STAGE=test"),
        ("CREATE_FAILED", "its first deployment failed", "make deploy STAGE=test"),
        ("UPDATE_ROLLBACK_FAILED", "so did the rollback", f"continue-update-rollback --stack-name {STACK} --region"),
        ("CREATE_IN_PROGRESS", "is being changed", f"wait stack-create-complete --stack-name {STACK} --region"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "is being changed", f"wait stack-update-complete --stack-name {STACK}"),
        ("CREATE_COMPLETE", "of another version than this checkout", "make deploy STAGE=test"),
        ("SOMETHING_NEW", "of another version than this checkout", "make deploy STAGE=test"),
    ],
)
def test_the_error_of_an_incomplete_stack_has_its_state_and_the_command(state, words, command):
    stage = stage_with(CloudFormation({STACK: state} if state else {}))
    for ask in (lambda: stage.event_bus, lambda: stage.queues):
        with pytest.raises(OperatorError) as refused:
            ask()
        assert STACK in str(refused.value)
        assert words in str(refused.value)
        assert command in str(refused.value)


def test_a_stack_whose_last_update_failed_still_serves_an_operator():
    stage = stage_with(CloudFormation({STACK: "UPDATE_ROLLBACK_FAILED"}, ["EventBus"]))
    assert stage.event_bus == "EventBus"


def test_the_local_stage_is_deployed_by_its_own_command():
    stage = stage_with(CloudFormation({}), **ON_THE_EMULATOR)
    with pytest.raises(OperatorError, match=r"Deploy it: make up$"):
        _ = stage.event_bus


def test_a_command_to_paste_reaches_the_same_stage():
    session = boto3.Session(region_name="ca-central-1")
    of_the_stage = Stage(Settings(stage="test", region="ca-central-1"), session, profile="school")
    assert of_the_stage.ops_options == "--stage test --profile school"
    assert of_the_stage.aws_options == "--region ca-central-1 --profile school"
    assert Stage(Settings(stage="test"), session).ops_options == "--stage test --region ca-central-1"
    assert Stage(Settings(stage="test", runs_on_emulator=True, retry_hours=1), session).aws_options == ""


@pytest.mark.parametrize(
    ("option", "stages_toml", "shell", "region"),
    [
        ("eu-west-1", "ca-central-1", {"AWS_REGION": "us-east-2"}, "eu-west-1"),
        (None, "ca-central-1", {"AWS_REGION": "us-east-2"}, "ca-central-1"),
        (None, None, {"AWS_REGION": "us-east-2", "AWS_DEFAULT_REGION": "us-west-2"}, "us-east-2"),
        (None, None, {"AWS_DEFAULT_REGION": "us-west-2"}, "us-west-2"),
    ],
)
def test_every_client_of_a_command_is_in_one_region(monkeypatch, option, stages_toml, shell, region):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    settings = Settings(stage="test", region=stages_toml)
    stage = Stage(settings, open_session(settings, region=option))
    assert {stage.client(service).meta.region_name for service in ("sqs", "dynamodb", "events")} == {region}


def test_without_a_region_the_error_names_the_places_to_set_it(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(OperatorError, match=r"Name it with --region, or set `region` in stages\.toml"):
        open_session(Settings(stage="test"))


def test_a_shell_that_points_at_the_emulator_is_refused(monkeypatch):
    # GIVEN a shell that has sourced `.local/env`
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:4566",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)

    # WHEN a deployed stage is selected, THEN the error names the variables to unset
    with pytest.raises(OperatorError) as refused:
        open_session(Settings(stage="prod"))
    assert str(refused.value).endswith(
        "unset AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_REGION "
        "AWS_SECRET_ACCESS_KEY"
    )


def test_an_endpoint_of_the_operators_own_is_refused_without_touching_the_credentials(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "https://vpce.example")
    with pytest.raises(OperatorError, match=r"unset AWS_ENDPOINT_URL_SQS$"):
        open_session(Settings(stage="prod"))


def test_credentials_of_another_account_are_refused(aws):
    # GIVEN credentials of the account of moto
    assert open_session(Settings(stage="prod", account="123456789012"))

    # WHEN the stage is in another account, THEN the error names both
    with pytest.raises(OperatorError, match=r"are of account 123456789012, and stage prod is in account\s+11112222"):
        open_session(Settings(stage="prod", account="111122223333"))
