"""Local stage of the tests: a CDK deployment to an emulator that enforces IAM."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from testbed.events import EVENT_NAMES, ROOT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

BIN = Path(sys.executable).parent
PIPELINE = "canvas-live-state-local-pipeline"
PATIENCE_SECONDS = 90
COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True)
class LocalStage:
    """A local stage, with the environment variables that `ops up` writes for the shell."""

    environment: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.environment[name]

    def client(self, service: str) -> Any:
        """Create a client of the emulator with the credentials of the account."""
        return self._session.client(service, endpoint_url=self["AWS_ENDPOINT_URL"])  # type: ignore[call-overload]

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(
            region_name=self["AWS_REGION"],
            aws_access_key_id=self["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self["AWS_SECRET_ACCESS_KEY"],
        )

    def run(self, *command: str, status: int = 0) -> str:
        """Run `command` with the environment of the stage, check its exit status, and return its standard output."""
        ran = subprocess.run(
            command, cwd=ROOT, env=os.environ | self.environment, check=False, capture_output=True, text=True
        )
        assert ran.returncode == status, ran.stdout + ran.stderr
        return ran.stdout

    def ops(self, *arguments: str, status: int = 0) -> str:
        """Run `ops`, check its exit status, and return its standard output."""
        return self.run(str(BIN / "ops"), *arguments, status=status)

    def send(self, *bodies: str) -> None:
        """Send `bodies` to the ingestion queue, one message each."""
        for body in bodies:
            self.client("sqs").send_message(QueueUrl=self["INGESTION_QUEUE_URL"], MessageBody=body)

    def table(self, variable: str) -> "Table":
        """Table whose name is in the environment variable `variable`."""
        return self._session.resource("dynamodb", endpoint_url=self["AWS_ENDPOINT_URL"]).Table(self[variable])

    def enrollment(self, enrollment_id: str) -> dict[str, Any]:
        """Item of the table of enrollments, empty where it does not exist."""
        return self.table("ENROLLMENTS_TABLE").get_item(Key={"enrollment_id": enrollment_id}).get("Item", {})

    def sis_batch(self, sis_batch_id: int, *, account_id: str = "21070000000000001") -> dict[str, Any]:
        """Item of the table of SIS imports, by default of the school in the examples; empty where it does not exist."""
        key: dict[str, str | int] = {"account_id": account_id, "sis_batch_id": sis_batch_id}
        return self.table("SIS_BATCHES_TABLE").get_item(Key=key).get("Item", {})

    def items(self) -> list[dict[str, Any]]:
        """All items of both tables, sorted."""
        tables = (self.table("ENROLLMENTS_TABLE"), self.table("SIS_BATCHES_TABLE"))
        return sorted((item for table in tables for item in table.scan()["Items"]), key=sorted_repr)

    @cached_property
    def queues(self) -> dict[str, str]:
        """Queue URLs by construct id: `IngestionQueue`, `SisBatchUpdatedDeadLetters`, …"""
        resources = self.client("cloudformation").describe_stack_resources(StackName=PIPELINE)["StackResources"]
        return {
            re.sub(r"[0-9A-F]{8}$", "", resource["LogicalResourceId"]): resource["PhysicalResourceId"]
            for resource in resources
            if resource["ResourceType"] == "AWS::SQS::Queue"
        }

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Receive up to ten visible messages of `queue`, which stay visible."""
        received: dict[str, list[dict[str, Any]]] = self.client("sqs").receive_message(
            QueueUrl=self.queues[queue],
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            WaitTimeSeconds=0,  # in the emulator, a short poll reads the whole queue
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        return received.get("Messages", [])

    def count(self, queue: str) -> int:
        """Number of messages in `queue`, those in flight included."""
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=self.queues[queue], AttributeNames=["All"])
        return sum(int(attributes["Attributes"][name]) for name in COUNTS)

    def dead_letters(self) -> dict[str, int]:
        """Number of messages by dead-letter queue, without empty queues."""
        counts = {name: self.count(name) for name in self.queues if name.endswith("DeadLetters")}
        return {name: count for name, count in counts.items() if count}

    def is_idle(self) -> bool:
        """Whether the source queues are empty and no message is in flight."""
        # In the order in which a message passes the queues: otherwise one that moves meanwhile would be missed.
        event_queues = [name for name in self.queues if name.endswith("Queue") and name != "IngestionQueue"]
        return not any(self.count(name) for name in ("IngestionQueue", *event_queues))

    def function(self, event_name: str) -> dict[str, Any]:
        """Configuration of the function of `event_name`."""
        function: dict[str, Any]
        (function,) = (
            function
            for function in self.client("lambda").list_functions()["Functions"]
            if function["Handler"] == f"functions.handlers.{event_name}.handler"
        )
        return function

    @contextmanager
    def updates_denied(self, *event_names: str) -> Iterator[None]:
        """Deny `UpdateItem` to the functions of `event_names`."""
        iam = self.client("iam")
        statement = {"Effect": "Deny", "Action": "dynamodb:UpdateItem", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        roles = [self.function(event_name)["Role"].rsplit("/", 1)[-1] for event_name in event_names]
        try:
            for role in roles:
                iam.put_role_policy(RoleName=role, PolicyName="outage", PolicyDocument=document)
            yield
        finally:
            for role in roles:
                iam.delete_role_policy(RoleName=role, PolicyName="outage")


def sorted_repr(item: dict[str, Any]) -> str:
    """Text of `item` with sorted attributes."""
    return repr(sorted(item.items()))


def eventually(condition):
    """Poll `condition` and return its first true value.

    Raises:
        AssertionError: it did not become true within `PATIENCE_SECONDS`.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.2)
    raise AssertionError(f"not true within {PATIENCE_SECONDS} s: {condition}")


@pytest.fixture(scope="session")
def local_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStage]:
    """All stacks, deployed by the CDK. In the end, no process is left and no port is open."""
    home = tmp_path_factory.mktemp("local")
    stage = LocalStage({"OPS_LOCAL": str(home)})
    try:
        stage.ops("up", "--enrollments", "60")
        lines = (home / "env").read_text().splitlines()
        variables = (line.removeprefix("export ").split("=", 1) for line in lines)
        # PATH is for a shell to expand.
        stage.environment.update((name, value) for name, value in variables if name != "PATH")
        emulator = json.loads((home / "emulator.json").read_text())["pid"]
        yield stage
    finally:
        stage.ops("down")
    port = int(stage["AWS_ENDPOINT_URL"].rsplit(":", 1)[1])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    group = subprocess.run(["ps", "-o", "pid=", "-g", str(emulator)], check=False, capture_output=True, text=True)
    assert group.stdout == ""


@pytest.fixture(scope="session")
def examples(local_stage):
    """The documented examples, published by `ops` and stored in the tables."""
    printed = local_stage.ops("publish", *(f"examples/{name}.json" for name in EVENT_NAMES))
    assert "Events sent: 6" in printed
    eventually(lambda: local_stage.enrollment("21070000000046825").get("user_name") == "Isaac Netwon")
    for enrollment_id in ("21070000000000143", "21070000000001533"):
        eventually(lambda key=enrollment_id: local_stage.enrollment(key))
    for sis_batch_id in (31048324, 1440004):
        eventually(lambda key=sis_batch_id: local_stage.sis_batch(key))
