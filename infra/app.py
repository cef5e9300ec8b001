"""The CDK app: its stacks, and the checks that every synthesis passes."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from cdk_nag import AwsSolutionsChecks

from functions.routes import PROJECT, ROUTES, Route
from infra.data_stack import DataStack
from infra.pipeline_stack import PipelineStack
from infra.settings import EMULATOR_ACCOUNT, EMULATOR_REGION, Settings

_ACKNOWLEDGED = {
    "AwsSolutions::AwsSolutions-L1": "The runtime is pinned on purpose: the asset's bytecode and wheels are built for "
    "it, and infra/platform.py changes both together.",
}
_ACKNOWLEDGED_ON_EMULATOR = {
    f"AwsSolutions::AwsSolutions-{rule}": "The emulator speaks plain HTTP, on the loopback interface only."
    for rule in ("S10", "SNS3", "SQS4")
}


def build(app: cdk.App, settings: Settings, *, routes: Sequence[Route] = ROUTES) -> tuple[DataStack, PipelineStack]:
    """Add to `app` the stacks of one stage."""
    data = DataStack(app, settings.stack_name("data"), settings=settings, **_stack_properties(settings))
    pipeline = PipelineStack(
        app,
        settings.stack_name("pipeline"),
        data=data,
        settings=settings,
        routes=routes,
        **_stack_properties(settings),
    )
    cdk.Tags.of(app).add("project", PROJECT)
    cdk.Tags.of(app).add("stage", settings.stage)
    for name, value in settings.tags.items():
        cdk.Tags.of(app).add(name, value)
    if settings.permissions_boundary is not None:
        boundary = iam.ManagedPolicy.from_managed_policy_arn(data, "Boundary", settings.permissions_boundary)
        iam.PermissionsBoundary.of(app).apply(boundary)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks())
    acknowledged = _ACKNOWLEDGED | (_ACKNOWLEDGED_ON_EMULATOR if settings.runs_on_emulator else {})
    cdk.Validations.of(app).acknowledge(
        *(cdk.Acknowledgment(id=rule, reason=reason) for rule, reason in acknowledged.items())
    )
    return data, pipeline


def _stack_properties(settings: Settings) -> dict[str, object]:
    if not settings.runs_on_emulator:
        return {"env": cdk.Environment(account=settings.account, region=settings.region)}
    return {
        "env": cdk.Environment(account=EMULATOR_ACCOUNT, region=EMULATOR_REGION),
        # With IAM enforced, the emulator refuses assets that are published through the bootstrap roles.
        "synthesizer": cdk.CliCredentialsStackSynthesizer(),
    }
