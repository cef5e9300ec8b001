"""A local stage of the tests' own: a CDK deployment to an emulator that enforces IAM."""

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
from typing import Any

import boto3
import pytest

from tests.canvas import EVENT_NAMES, ROOT

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
    """The environment that `ops up` writes for the shell, and what the tests do with it."""

    environment: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.environment[name]

    def client(self, service: str) -> Any:
        """A client of the emulator, with the account's own credentials."""
        return self._session.client(service, endpoint_url=self["AWS_ENDPOINT_URL"])

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(
            region_name=self["AWS_REGION"],
            aws_access_key_id=self["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self["AWS_SECRET_ACCESS_KEY"],
        )

    def run(self, *command: str, status: int = 0) -> str:
        """What `command` prints, which ends with exit status `status`, in a shell that has sourced the environment."""
        ran = subprocess.run(
            command, cwd=ROOT, env=os.environ | self.environment, check=False, capture_output=True, text=True
        )
        assert ran.returncode == status, ran.stdout + ran.stderr
        return ran.stdout

    def ops(self, *arguments: str, status: int = 0) -> str:
        """What the operator's command line prints, which ends with exit status `status`."""
        return self.run(str(BIN / "ops"), *arguments, status=status)

    def send(self, *bodies: str) -> None:
        """Put `bodies` into the ingestion queue, one message each."""
        for body in bodies:
            self.client("sqs").send_message(QueueUrl=self["INGESTION_QUEUE_URL"], MessageBody=body)

    def table(self, variable: str) -> Any:
        """The table whose name is in the environment variable `variable`."""
        return self._session.resource("dynamodb", endpoint_url=self["AWS_ENDPOINT_URL"]).Table(self[variable])

    def enrollment(self, enrollment_id: str) -> dict[str, Any]:
        """An item of the enrollments table, empty where there is none."""
        return self.table("ENROLLMENTS_TABLE").get_item(Key={"enrollment_id": enrollment_id}).get("Item", {})

    def sis_batch(self, sis_batch_id: int, *, account_id: str = "21070000000000001") -> dict[str, Any]:
        """An item of the SIS imports, of the examples' school by default; empty where there is none."""
        key = {"account_id": account_id, "sis_batch_id": sis_batch_id}
        return self.table("SIS_BATCHES_TABLE").get_item(Key=key).get("Item", {})

    def items(self) -> list[dict[str, Any]]:
        """Every item of both tables, sorted."""
        tables = (self.table("ENROLLMENTS_TABLE"), self.table("SIS_BATCHES_TABLE"))
        return sorted((item for table in tables for item in table.scan()["Items"]), key=sorted_repr)

    @cached_property
    def queues(self) -> dict[str, str]:
        """The URL of each queue by its construct: `IngestionQueue`, `SisBatchUpdatedDeadLetters`, …"""
        resources = self.client("cloudformation").describe_stack_resources(StackName=PIPELINE)["StackResources"]
        return {
            re.sub(r"[0-9A-F]{8}$", "", resource["LogicalResourceId"]): resource["PhysicalResourceId"]
            for resource in resources
            if resource["ResourceType"] == "AWS::SQS::Queue"
        }

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """The first ten visible messages of `queue`. They stay visible."""
        received = self.client("sqs").receive_message(
            QueueUrl=self.queues[queue],
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            WaitTimeSeconds=0,  # the emulator answers a short poll completely
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        return received.get("Messages", [])

    def count(self, queue: str) -> int:
        """The number of messages in `queue`, in flight or not."""
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=self.queues[queue], AttributeNames=["All"])
        return sum(int(attributes["Attributes"][name]) for name in COUNTS)

    def dead_letters(self) -> dict[str, int]:
        """The number of messages in each dead-letter queue that holds any."""
        counts = {name: self.count(name) for name in self.queues if name.endswith("DeadLetters")}
        return {name: count for name, count in counts.items() if count}

    def is_idle(self) -> bool:
        """Whether no message waits for a function or is being processed."""
        # In the order in which a message passes the queues, or one that moves on meanwhile would be missed.
        event_queues = [name for name in self.queues if name.endswith("Queue") and name != "IngestionQueue"]
        return not any(self.count(name) for name in ("IngestionQueue", *event_queues))

    def function(self, event_name: str) -> dict[str, Any]:
        """The configuration of the function of `event_name`."""
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
    """The text of `item`, whatever the order of its attributes."""
    return repr(sorted(item.items()))


def eventually(condition):
    """The first true value of `condition`.

    Raises:
        AssertionError: it did not become true in time.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.2)
    raise AssertionError(f"not within {PATIENCE_SECONDS} s: {condition}")


@pytest.fixture(scope="session")
def local_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStage]:
    """All stacks, deployed by the CDK's own command line; afterwards no process and no port is left."""
    home = tmp_path_factory.mktemp("local")
    stage = LocalStage({"OPS_LOCAL": str(home)})
    try:
        stage.ops("up", "--enrollments", "60")
        lines = (home / "env").read_text().splitlines()
        variables = (line.removeprefix("export ").split("=", 1) for line in lines)
        # For a shell to expand; ours has it already.
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
    """The documented examples, published by the operator, and in the tables."""
    printed = local_stage.ops("publish", *(f"examples/{name}.json" for name in EVENT_NAMES))
    assert "Events sent: 6" in printed
    eventually(lambda: local_stage.enrollment("21070000000046825").get("user_name") == "Isaac Netwon")
    for enrollment_id in ("21070000000000143", "21070000000001533"):
        eventually(lambda key=enrollment_id: local_stage.enrollment(key))
    for sis_batch_id in (31048324, 1440004):
        eventually(lambda key=sis_batch_id: local_stage.sis_batch(key))
