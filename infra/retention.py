"""What outlives its stack, and for how long it is kept."""

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.settings import Settings


def removal_policy(settings: Settings) -> cdk.RemovalPolicy:
    """Of what holds data. Not RETAIN: a first deployment that fails would leave orphans that block the next."""
    return cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if settings.keeps_data else cdk.RemovalPolicy.DESTROY


def log_group(scope: Construct, construct_id: str, settings: Settings) -> logs.LogGroup:
    """A log group that keeps its lines for the days of the stage."""
    group = logs.LogGroup(scope, construct_id, removal_policy=cdk.RemovalPolicy.DESTROY)
    resource = group.node.default_child
    assert isinstance(resource, logs.CfnLogGroup)
    resource.retention_in_days = settings.log_days
    return group
