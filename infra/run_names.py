"""The name of the state machine of runs, and its ARNs."""

from typing import Literal

import aws_cdk as cdk
from constructs import Construct

from functions.routes import PROJECT
from infra.settings import Settings


def state_machine_name(settings: Settings) -> str:
    """The name of the state machine. Explicit, so that roles of its functions can refer to it without a cycle."""
    return f"{PROJECT}-{settings.stage}-reconciliation"


def run_arn(
    scope: Construct, kind: Literal["stateMachine", "execution", "mapRun"], settings: Settings, suffix: str = ""
) -> str:
    """An ARN of the state machine; with `suffix`, of its executions (`:*`), its map runs or their items (`/*`).

    Source: Service Authorization Reference, "Resource types defined by AWS Step Functions".
    """
    return cdk.Stack.of(scope).format_arn(
        service="states",
        resource=kind,
        resource_name=f"{state_machine_name(settings)}{suffix}",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
