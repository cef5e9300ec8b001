"""One of our Lambda functions, with a role, a log group and a dead-letter queue of its own."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.settings import Settings


class LeastFunction(Construct):
    """A function that may write its own log and nothing else, until a grant says more."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        handler: str,
        code: lambda_.Code,
        settings: Settings,
        environment: Mapping[str, str],
        dead_letter_queue: sqs.IQueue | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        log_group = logs.LogGroup(
            self,
            "Log",
            retention=settings.log_retention,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(role)
        self.function = lambda_.Function(
            self,
            "Function",
            handler=handler,
            code=code,
            runtime=settings.target.runtime,
            architecture=settings.target.architecture,
            memory_size=settings.memory_mib,
            timeout=cdk.Duration.seconds(settings.function_timeout_seconds),
            role=role,
            log_group=log_group,
            environment=dict(environment),
            dead_letter_queue=dead_letter_queue,
        )
