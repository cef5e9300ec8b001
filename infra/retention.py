"""Retention of resources with data, and of logs."""

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.settings import Settings


def removal_policy(settings: Settings) -> cdk.RemovalPolicy:
    """The policy of resources with data. Not RETAIN: orphans of a failed first deployment would block the next."""
    return cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if settings.keeps_data else cdk.RemovalPolicy.DESTROY


def log_group(scope: Construct, construct_id: str, settings: Settings) -> logs.LogGroup:
    """A log group with the retention of the stage."""
    group = logs.LogGroup(scope, construct_id, removal_policy=cdk.RemovalPolicy.DESTROY)
    resource = group.node.default_child
    assert isinstance(resource, logs.CfnLogGroup)
    resource.retention_in_days = settings.log_days
    return group
