"""A school in the double of Canvas, and an AWS in moto: tables, bucket, secrets, event bus and queues."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from functions.routes import ROUTES
from functions.runtime import setting
from reconciliation import canvas_data, canvas_rest, items, names_file, publishing
from reconciliation.aws import aws_client
from testbed.canvas.building import school_of
from testbed.canvas.lake import Lake
from testbed.canvas.server import CanvasDouble, running_canvas
from tests.canvas import event_batch, retried
from tests.context import FunctionContext
from tests.reconciliation.machine import Machine
from tests.tables import Tables

_MAX_RECEIVES = 10
_PUT_EVENTS = "provide-client-params.events.PutEvents"


@dataclass
class Cloud:
    """What a stage has in AWS."""

    tables: Tables
    handlers: dict[str, Any]
    entries: list[dict[str, Any]] = field(default_factory=list)
    """Of every PutEvents request."""

    def published(self) -> list[dict[str, Any]]:
        """The events that were put on the bus since the last call, as Canvas messages."""
        published, self.entries[:] = [json.loads(entry["Detail"]) for entry in self.entries], []
        return published

    def deliver(self, events: list[dict[str, Any]]) -> None:
        """Hand Canvas messages to the event functions."""
        for route in ROUTES:
            ours = [event for event in events if event["metadata"]["event_name"] == route.event_name]
            for first in range(0, len(ours), 10):
                batch = event_batch(*ours[first : first + 10], event_name=route.event_name)
                # As SQS does: on a busy machine moto may take longer than the functions wait.
                receives = 0
                while failed := retried(self.handlers[route.event_name](batch, FunctionContext())):
                    receives += 1
                    assert receives < _MAX_RECEIVES
                    batch["Records"] = [record for record in batch["Records"] if record["messageId"] in failed]

    def apply(self) -> int:
        """Deliver what was published; how many events it was."""
        events = self.published()
        self.deliver(events)
        return len(events)

    def contents(self) -> list[list[dict[str, Any]]]:
        """Every item of both tables."""
        return [self.tables.items(name) for name in ("enrollments", "sis_batches")]

    def keep_secret(self, arn: str, **content: str) -> None:
        """Store a secret, or replace it."""
        aws_client("secretsmanager").put_secret_value(SecretId=arn, SecretString=json.dumps(content))


@pytest.fixture
def cloud(aws, prod, handlers) -> Iterator[Cloud]:
    """A stage with empty tables."""
    cloud = Cloud(Tables(prod.data), handlers)
    aws_client("s3").create_bucket(Bucket=setting("RUN_BUCKET"))
    for arn in ("CANVAS_SECRET_ARN", "CANVAS_DATA_SECRET_ARN"):
        aws_client("secretsmanager").create_secret(Name=setting(arn), SecretString="{}")
    cloud.keep_secret(setting("CANVAS_SECRET_ARN"), token="double-token")
    cloud.keep_secret(setting("CANVAS_DATA_SECRET_ARN"), client_id="double", client_secret="double-secret")
    aws_client("events").create_event_bus(Name=setting("EVENT_BUS"))
    for url in setting("QUEUE_URLS").split():
        aws_client("sqs").create_queue(QueueName=url.rpartition("/")[2])
    _create_state_machine()
    events = aws_client("events").meta.events
    events.register_first(_PUT_EVENTS, record := lambda params, **_: cloud.entries.extend(params["Entries"]))
    yield cloud
    events.unregister(_PUT_EVENTS, record)


def _create_state_machine() -> None:
    role = aws_client("iam").create_role(RoleName="reconciliation", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    name = setting("STATE_MACHINE_ARN").rpartition(":")[2]
    definition = json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}})
    aws_client("stepfunctions").create_state_machine(name=name, definition=definition, roleArn=role)


@pytest.fixture
def school():
    """Forty enrollments of every role and state."""
    return school_of(40)


@pytest.fixture
def canvas(school, monkeypatch) -> Iterator[CanvasDouble]:
    """The double, which serves the school, and which the functions ask. Jobs are complete at once."""
    with running_canvas(school, lake=Lake(school)) as double:
        double.dap.polls = 0
        monkeypatch.setenv("CANVAS_URL", double.url)
        monkeypatch.setenv("CANVAS_DATA_URL", double.url)
        yield double


@pytest.fixture
def machine() -> Machine:
    """The state machine."""
    return Machine()


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """How long the functions would have waited, in seconds, in order: nobody waits in a test."""
    waited: list[float] = []
    for module in (canvas_rest, items, publishing):
        monkeypatch.setattr(module, "_sleep", waited.append)
    monkeypatch.setattr(canvas_data, "_BACKOFF_SECONDS", 0)
    return waited


@pytest.fixture(autouse=True)
def local_disk(tmp_path, monkeypatch) -> Path:
    """Lambda's local disk: every run removes what others left there."""
    monkeypatch.setattr(names_file, "gettempdir", lambda: str(tmp_path))
    return tmp_path
