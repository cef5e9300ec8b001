"""A deployed stage, as its stacks' outputs describe it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import boto3
from botocore.exceptions import ClientError

from canvas_live_state import Reader
from functions.routes import TableName
from ops.failure import OperatorError

_PROJECT = "canvas-live-state"
STACKS = ("data", "pipeline")
_TABLE_OUTPUTS: dict[TableName, str] = {"enrollments": "EnrollmentsTable", "sis_batches": "SisBatchesTable"}


@dataclass(frozen=True)
class Stage:
    """Names and clients of one stage.

    Attributes:
        name: `local`, `dev` or `prod`.
        outputs: the outputs of its stacks.
        environment: what turns an AWS client to it; empty where the shell's own environment does.
    """

    name: str
    outputs: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def deployed(cls, name: str) -> Self:
        """The stage `name` of the account that the shell's credentials belong to.

        Raises:
            OperatorError: it is not deployed there.
        """
        cloudformation = boto3.client("cloudformation")
        outputs: dict[str, str] = {}
        for part in STACKS:
            stack = _stack_name(name, part)
            try:
                described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
            except ClientError as error:
                if error.response["Error"]["Code"] != "ValidationError":
                    raise
                raise OperatorError(
                    f"Stack {stack} does not exist in this account and region. Deploy it: make deploy STAGE={name}"
                ) from None
            outputs |= {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
        return cls(name=name, outputs=outputs)

    def stack_name(self, part: str) -> str:
        """The name of its stack `part`: `data` or `pipeline`."""
        return _stack_name(self.name, part)

    @property
    def event_bus(self) -> str:
        """The name of the bus."""
        return self.outputs["EventBus"]

    @property
    def ingestion_queue_url(self) -> str:
        """Where Canvas, and `ops publish`, send events."""
        return self.outputs["IngestionQueueUrl"]

    def table(self, name: TableName) -> str:
        """The table's name in DynamoDB."""
        return self.outputs[_TABLE_OUTPUTS[name]]

    def resources(self, part: str, resource_type: str) -> dict[str, str]:
        """The stack `part`'s resources of one CloudFormation type: logical id to physical id."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages.paginate(StackName=self.stack_name(part))
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == resource_type
        }

    @cached_property
    def queues(self) -> dict[str, str]:
        """The URLs of the pipeline's queues by construct, such as `IngestionQueue` or `SisBatchUpdatedDeadLetters`."""
        urls = self.resources("pipeline", "AWS::SQS::Queue")
        # A logical id ends in eight characters of hash.
        return {logical_id[:-8]: url for logical_id, url in urls.items()}

    @cached_property
    def reader(self) -> Reader:
        """For reading the tables."""
        return Reader(
            enrollments_table=self.table("enrollments"),
            sis_batches_table=self.table("sis_batches"),
            client=self.client("dynamodb"),
        )

    def client(self, service: str) -> Any:
        """A client of `service` at this stage."""
        environment = {**os.environ, **self.environment}
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=environment.get("AWS_ENDPOINT_URL"),
            region_name=environment.get("AWS_REGION"),
            aws_access_key_id=self.environment.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=self.environment.get("AWS_SECRET_ACCESS_KEY"),
        )


def _stack_name(stage: str, part: str) -> str:
    return f"{_PROJECT}-{stage}-{part}"
