"""A Lambda function with a role and a log group of its own."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.platform import platform_of
from infra.retention import log_group
from infra.settings import Settings

_BATCH_SIZE = 10
"""The limit of PutEvents and SendMessageBatch requests."""


class LeastPrivilegeFunction(Construct):
    """A Lambda function that may only write its log, until `allow` or `consume` adds permissions."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        handler: str,
        code: lambda_.Code,
        settings: Settings,
        environment: Mapping[str, str],
        timeout: cdk.Duration | None = None,
        memory_mib: int | None = None,
        disk: cdk.Size | None = None,
    ) -> None:
        """Timeout and memory default to those of the event functions, `disk` (the size of /tmp) to 512 MiB."""
        super().__init__(scope, construct_id)
        self._settings = settings
        platform = platform_of(settings)
        log = log_group(self, "Log", settings)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log.grant_write(role)
        self.function = lambda_.Function(
            self,
            "Function",
            handler=handler,
            code=code,
            runtime=platform.runtime,
            architecture=platform.architecture,
            memory_size=memory_mib or settings.memory_mib,
            timeout=timeout or cdk.Duration.seconds(settings.function_timeout_seconds),
            ephemeral_storage_size=disk,
            role=role,
            log_group=log,
            # WARN leaves out START, END and REPORT, half of the log. Lines of the embedded metric format have no level
            # and count as INFO. Source: Lambda developer guide, "Configuring advanced logging controls".
            logging_format=lambda_.LoggingFormat.JSON,
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            application_log_level_v2=lambda_.ApplicationLogLevel.INFO,
            environment={"METRICS_NAMESPACE": settings.metrics_namespace, **environment},
        )

    def allow(self, action: str, *resources: str) -> None:
        """Allow the function `action` on the ARNs `resources`."""
        self.function.add_to_role_policy(iam.PolicyStatement(actions=[action], resources=list(resources)))

    def consume(self, queue: sqs.IQueue, *, dead_letters: sqs.IQueue, max_concurrency: int) -> None:
        """Invoke the function with batches of `queue`, and let it send messages to `dead_letters`."""
        self.function.add_event_source(
            sources.SqsEventSource(
                queue,
                batch_size=_BATCH_SIZE,
                max_batching_window=cdk.Duration.seconds(self._settings.batching_window_seconds),
                max_concurrency=max_concurrency,
                report_batch_item_failures=True,
            )
        )
        self.function.add_environment("DEAD_LETTER_QUEUE_URL", dead_letters.queue_url)
        self.allow("sqs:SendMessage", dead_letters.queue_arn)
