"""Acknowledges wildcards in policies to cdk-nag."""

from collections.abc import Iterable
from typing import Any

import aws_cdk as cdk
from constructs import IConstruct


def acknowledge_wildcards(construct: IConstruct, resources: Iterable[str], *, reason: str) -> None:
    """Acknowledge that policies in `construct` name `resources` with a wildcard at the end."""
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
    """`resource` in the form of cdk-nag: a reference is `<LogicalId>` or `<LogicalId.Attribute>`."""
    if isinstance(resource, str):
        return resource
    if "Ref" in resource:
        return f"<{resource['Ref']}>"
    if "Fn::GetAtt" in resource:
        return f"<{'.'.join(resource['Fn::GetAtt'])}>"
    return "".join(map(_as_found, resource["Fn::Join"][1]))
