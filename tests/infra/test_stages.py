"""Effects of the settings of a stage on its templates."""

from aws_cdk import App

from infra.app import build
from testbed.stacks import PROD, synthesise
from tests.infra.templates import of_type

ACCOUNT, REGION = "111122223333", "ca-central-1"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"


def test_the_stacks_are_of_the_account_and_region_of_the_stage():
    app = App(context={"aws:cdk:bundling-stacks": []})
    for stack in build(app, PROD.model_copy(update={"account": ACCOUNT, "region": REGION})):
        assert (stack.account, stack.region) == (ACCOUNT, REGION)


def test_every_role_has_the_permissions_boundary_and_every_tag():
    stage = synthesise(PROD.model_copy(update={"permissions_boundary": BOUNDARY, "tags": {"owner": "registrar"}}))
    roles = of_type(stage.pipeline, "AWS::IAM::Role")
    assert roles
    for role in roles.values():
        assert role["PermissionsBoundary"] == BOUNDARY
        assert {"Key": "owner", "Value": "registrar"} in role["Tags"]
    for table in of_type(stage.data, "AWS::DynamoDB::GlobalTable").values():
        assert {"Key": "owner", "Value": "registrar"} in table["Replicas"][0]["Tags"]


def test_a_stage_may_have_no_archive():
    stage = synthesise(PROD.model_copy(update={"archive_days": 0}))
    assert of_type(stage.pipeline, "AWS::Events::Archive") == {}


def test_concurrency_memory_and_retries_are_those_of_the_stage():
    changes = {"function_concurrency": 30, "relay_concurrency": 20, "memory_mib": 512, "retry_hours": 12}
    stage = synthesise(PROD.model_copy(update=changes)).pipeline
    mappings = of_type(stage, "AWS::Lambda::EventSourceMapping").values()
    assert sorted(mapping["ScalingConfig"]["MaximumConcurrency"] for mapping in mappings) == [20, *[30] * 6]
    assert {function["MemorySize"] for function in of_type(stage, "AWS::Lambda::Function").values()} == {512}
    queues = of_type(stage, "AWS::SQS::Queue").values()
    receives = {queue["RedrivePolicy"]["maxReceiveCount"] for queue in queues if "RedrivePolicy" in queue}
    assert receives == {180}
