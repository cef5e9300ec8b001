"""Fixtures: a school in the test double of Canvas, and the AWS resources of a stage in moto."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from functions.routes import ROUTES
from reconciliation import canvas_data, canvas_rest, items, names_file, publishing
from reconciliation.aws import aws_client
from testbed.canvas.building import school_of
from testbed.canvas.lake import Lake
from testbed.canvas.server import CanvasDouble, running_canvas
from testbed.events import event_batch, retried
from testbed.lambda_context import FunctionContext
from testbed.reconciliation.resources import create_resources
from testbed.tables import Tables
from tests.reconciliation.machine import Machine

_MAX_RECEIVES = 10
_PUT_EVENTS = "provide-client-params.events.PutEvents"


@dataclass
class Cloud:
    """AWS resources of a stage."""

    tables: Tables
    handlers: dict[str, Any]
    entries: list[dict[str, Any]] = field(default_factory=list)
    """Entries of all PutEvents requests."""

    def published(self) -> list[dict[str, Any]]:
        """Take new events from the bus, as Canvas messages."""
        published, self.entries[:] = [json.loads(entry["Detail"]) for entry in self.entries], []
        return published

    def deliver(self, events: list[dict[str, Any]]) -> None:
        """Deliver Canvas messages to the event functions."""
        for route in ROUTES:
            of_route = [event for event in events if event["metadata"]["event_name"] == route.event_name]
            for first in range(0, len(of_route), 10):
                batch = event_batch(*of_route[first : first + 10], event_name=route.event_name)
                # Retried as by SQS: on a busy machine moto can exceed the timeout of the functions.
                receives = 0
                while failed := retried(self.handlers[route.event_name](batch, FunctionContext())):
                    receives += 1
                    assert receives < _MAX_RECEIVES
                    batch["Records"] = [record for record in batch["Records"] if record["messageId"] in failed]

    def apply(self) -> int:
        """Deliver all published events, and return their number."""
        events = self.published()
        self.deliver(events)
        return len(events)

    def contents(self) -> list[list[dict[str, Any]]]:
        """All items of both tables."""
        return [self.tables.items(name) for name in ("enrollments", "sis_batches")]

    def keep_secret(self, arn: str, **content: str) -> None:
        """Replace the value of a secret."""
        aws_client("secretsmanager").put_secret_value(SecretId=arn, SecretString=json.dumps(content))


@pytest.fixture
def cloud(aws, prod, handlers) -> Iterator[Cloud]:
    """AWS resources with empty tables."""
    cloud = Cloud(Tables(prod.data), handlers)
    create_resources(aws_client)
    events = aws_client("events").meta.events
    events.register_first(_PUT_EVENTS, record := lambda params, **_: cloud.entries.extend(params["Entries"]))
    yield cloud
    events.unregister(_PUT_EVENTS, record)


@pytest.fixture
def school():
    """A school with forty enrollments of every role and state."""
    return school_of(40)


@pytest.fixture
def canvas(school, monkeypatch) -> Iterator[CanvasDouble]:
    """Test double that serves the school to the functions. Jobs complete immediately."""
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
    """Waits of the functions in seconds, recorded instead of slept."""
    waited: list[float] = []
    for module in (canvas_rest, items, publishing):
        monkeypatch.setattr(module, "_sleep", waited.append)
    monkeypatch.setattr(canvas_data, "_BACKOFF_SECONDS", 0)
    return waited


@pytest.fixture(autouse=True)
def local_disk(tmp_path: Path, monkeypatch) -> Path:
    """Local disk of Lambda, from which every run removes the files of others."""
    monkeypatch.setattr(names_file, "gettempdir", lambda: str(tmp_path))
    return tmp_path
