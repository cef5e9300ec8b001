"""Wildcards in policies, each acknowledged to cdk-nag with its reason."""

from collections.abc import Iterable
from typing import Any

import aws_cdk as cdk
from constructs import IConstruct


def acknowledge_wildcards(construct: IConstruct, resources: Iterable[str], *, reason: str) -> None:
    """Say why policies in `construct` name `resources` with a wildcard at the end."""
    stack = cdk.Stack.of(construct)
    cdk.Validations.of(construct).acknowledge(
        *(
            cdk.Acknowledgment(
                id=f"AwsSolutions::AwsSolutions-IAM5[Resource::{_as_found(stack.resolve(resource))}]", reason=reason
            )
            for resource in resources
        )
    )


def _as_found(resource: Any) -> str:
    """`resource` as cdk-nag writes it: a reference as `<LogicalId>` or `<LogicalId.Attribute>`."""
    if isinstance(resource, str):
        return resource
    if "Ref" in resource:
        return f"<{resource['Ref']}>"
    if "Fn::GetAtt" in resource:
        return f"<{'.'.join(resource['Fn::GetAtt'])}>"
    return "".join(map(_as_found, resource["Fn::Join"][1]))
