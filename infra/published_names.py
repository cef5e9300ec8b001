"""Publishes names of resources to readers and operators, as stack outputs and SSM parameters."""

import re

import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.settings import Settings


def publish(scope: Construct, name: str, value: str, *, settings: Settings) -> ssm.IParameter:
    """Publish `value` as the stack's output `name`, and as an SSM parameter of the stage.

    Readers use the parameter, which can be changed to a table that was restored under a new name.
    """
    cdk.CfnOutput(scope, name, value=value)
    return ssm.StringParameter(
        scope,
        f"{name}Parameter",
        parameter_name=f"{settings.parameter_path}/{re.sub('(?<=[a-z])(?=[A-Z])', '-', name).lower()}",
        string_value=value,
    )
