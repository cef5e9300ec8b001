"""A local stage of the tests' own: a real CDK deployment to an emulator that enforces IAM."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.canvas import EVENT_NAMES, ROOT

BIN = Path(sys.executable).parent
PATIENCE_SECONDS = 90


@dataclass(frozen=True)
class LocalStage:
    """What `ops up` left for the shell."""

    environment: dict[str, str]

    def __getitem__(self, name: str) -> str:
        return self.environment[name]

    def client(self, service: str) -> Any:
        """A client of the emulator, with the account's own credentials."""
        return boto3.client(
            service,
            endpoint_url=self["AWS_ENDPOINT_URL"],
            region_name=self["AWS_REGION"],
            aws_access_key_id=self["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self["AWS_SECRET_ACCESS_KEY"],
        )

    def run(self, *command: str) -> str:
        """What `command` prints in a shell that has sourced the stage's environment."""
        ran = subprocess.run(
            command, cwd=ROOT, env=os.environ | self.environment, check=False, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def ops(self, *arguments: str) -> str:
        """What the operator's command line prints."""
        return self.run(str(BIN / "ops"), *arguments)

    def item(self, table: str, **key: dict[str, str]) -> dict[str, Any] | None:
        """An item as DynamoDB holds it."""
        return self.client("dynamodb").get_item(TableName=self[table], Key=key).get("Item")


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
        stage.ops("up")
        lines = (home / "env").read_text().splitlines()
        stage.environment.update(line.removeprefix("export ").split("=", 1) for line in lines)
        emulator = json.loads((home / "emulator.json").read_text())["pid"]
        yield stage
    finally:
        stage.ops("down")
    port = int(stage["AWS_ENDPOINT_URL"].rsplit(":", 1)[1])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    group = subprocess.run(["ps", "-o", "pid=", "-g", str(emulator)], check=False, capture_output=True, text=True)
    assert group.stdout == ""


def send(stage, *bodies):
    """Put `bodies` into the front-door queue, one message each."""
    for body in bodies:
        stage.client("sqs").send_message(QueueUrl=stage["FRONT_DOOR_QUEUE_URL"], MessageBody=body)


@pytest.fixture(scope="session")
def unreadable(local_stage):
    """A message that the relay cannot read, sent early: it is given up only after its second delivery."""
    send(local_stage, "this is not JSON")


@pytest.fixture(scope="session")
def examples(local_stage, unreadable):
    """The documented examples, published by the operator, and in the tables."""
    printed = local_stage.ops("publish", *(f"examples/{name}.json" for name in EVENT_NAMES))
    assert "Events sent: 6" in printed
    newton = {"enrollment_id": {"S": "21070000000046825"}}
    eventually(
        lambda: (local_stage.item("ENROLLMENTS_TABLE", **newton) or {}).get("user_name") == {"S": "Isaac Netwon"}
    )
    for enrollment_id in ("21070000000000143", "21070000000001533"):
        eventually(lambda key=enrollment_id: local_stage.item("ENROLLMENTS_TABLE", enrollment_id={"S": key}))
    for sis_batch_id in ("31048324", "1440004"):
        eventually(lambda key=sis_batch_id: local_stage.item("SIS_BATCHES_TABLE", **import_key(key)))


def import_key(sis_batch_id):
    """The key of an import of the examples' school."""
    return {"account_id": {"S": "21070000000000001"}, "sis_batch_id": {"N": sis_batch_id}}
