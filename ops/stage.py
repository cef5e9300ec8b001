"""A stage: its settings, AWS clients and stacks."""

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args

import boto3
from botocore.exceptions import ClientError

from canvas_live_state import Reader
from functions.routes import TableName
from infra.settings import Settings, StackPart
from ops.failure import OperatorError
from ops.stacks import Stack, describe_stack, problem_of

PARTS: tuple[StackPart, ...] = get_args(StackPart)

_TABLE_OUTPUTS: dict[TableName, str] = {"enrollments": "EnrollmentsTable", "sis_batches": "SisBatchesTable"}


@dataclass(frozen=True)
class Stage:
    """A stage. Its stacks are described on first use.

    Attributes:
        settings: the settings of the stage.
        session: the session of all clients.
        endpoint: the URL of the emulator; `None` on AWS.
        profile: the AWS profile, for commands in error messages.
    """

    settings: Settings
    session: boto3.Session
    endpoint: str | None = None
    profile: str | None = None
    _clients: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The name of the stage."""
        return self.settings.stage

    @property
    def ops_options(self) -> str:
        """The options of an `ops` command for this stage."""
        region = self.session.region_name
        options = [f"--stage {self.name}"]
        if self.profile:
            options.append(f"--profile {self.profile}")
        if not self.settings.runs_on_emulator and region != self.settings.region:
            options.append(f"--region {region}")
        return " ".join(options)

    @property
    def aws_options(self) -> str:
        """The options of an `aws` command for this stage; none on the emulator: `source .local/env`."""
        if self.settings.runs_on_emulator:
            return ""
        profile = f" --profile {self.profile}" if self.profile else ""
        return f"--region {self.session.region_name}{profile}"

    @property
    def deploy_command(self) -> str:
        """The command that deploys this stage."""
        return "make up" if self.settings.runs_on_emulator else f"make deploy STAGE={self.name}"

    @property
    def event_bus(self) -> str:
        """The name of the event bus."""
        return self.output("pipeline", "EventBus")

    @property
    def ingestion_queue_url(self) -> str:
        """The URL of the queue to which Canvas and `ops publish` send events."""
        return self.output("pipeline", "IngestionQueueUrl")

    def table(self, name: TableName) -> str:
        """The name of the table in DynamoDB."""
        return self.output("data", _TABLE_OUTPUTS[name])

    def output(self, part: StackPart, name: str) -> str:
        """The output `name` of the stack `part`.

        Raises:
            OperatorError: the stack lacks it, because its deployment failed or is of another version.
        """
        stack = self._stacks[part] if part in self._stacks else self._stacks.setdefault(part, self.stack(part))
        if name not in stack.outputs:
            raise OperatorError(self.problem_of(stack))
        return stack.outputs[name]

    def stack(self, part: StackPart) -> Stack:
        """The stack `part` as it is now."""
        return describe_stack(self.client("cloudformation"), self.settings.stack_name(part))

    def problem_of(self, stack: Stack) -> str:
        """What is wrong with `stack`, and the command that repairs it."""
        return problem_of(stack, deploy=self.deploy_command, aws_options=self.aws_options)

    def resources(self, part: StackPart, resource_type: str) -> dict[str, str]:
        """The physical ids of the resources of one type in the stack `part`, by logical id.

        Raises:
            OperatorError: there is no such stack.
        """
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        try:
            return {
                resource["LogicalResourceId"]: resource["PhysicalResourceId"]
                for page in pages.paginate(StackName=self.settings.stack_name(part))
                for resource in page["StackResourceSummaries"]
                if resource["ResourceType"] == resource_type and resource.get("PhysicalResourceId")
            }
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            raise OperatorError(self.problem_of(self.stack(part))) from None

    @cached_property
    def queues(self) -> dict[str, str]:
        """The URLs of the queues by construct, such as `IngestionQueue` or `SisBatchUpdatedDeadLetters`.

        Raises:
            OperatorError: the pipeline stack has no queue.
        """
        urls = self.resources("pipeline", "AWS::SQS::Queue")
        if not urls:
            raise OperatorError(self.problem_of(self.stack("pipeline")))
        # A logical id ends in eight characters of hash.
        return {logical_id[:-8]: url for logical_id, url in urls.items()}

    def message_count(self, queue: str) -> int:
        """The approximate number of messages in `queue`, a key of `queues`, visible or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.client("sqs").get_queue_attributes(QueueUrl=self.queues[queue], AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    @cached_property
    def reader(self) -> Reader:
        """The reader of the tables."""
        return Reader(
            enrollments_table=self.table("enrollments"),
            sis_batches_table=self.table("sis_batches"),
            client=self.client("dynamodb"),
        )

    def client(self, service: str) -> Any:
        """The client of `service`, created once: threads may share a client, but not a session."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self.session.client(service, endpoint_url=self.endpoint)  # type: ignore[call-overload]
            return self._clients[service]

    @cached_property
    def _stacks(self) -> dict[StackPart, Stack]:
        return {}
