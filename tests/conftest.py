"""What every test may use. The functions read their settings when they are imported, so those are set first."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.update(
    AWS_REGION="us-east-1",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    ENROLLMENTS_TABLE="enrollments",
    SIS_BATCHES_TABLE="sis_batches",
    EVENT_BUS="canvas-live-events-test",
    FORWARD_ALL_EVENTS="false",
    FUTURE_TOLERANCE_MINUTES="15",
    UNFINISHED_INDEX="unfinished",
)
for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
    os.environ.pop(name, None)
# The CDK runs on the Node of our own environment, whatever the machine has.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

import pytest
from aws_cdk import App
from aws_cdk.assertions import Template
from hypothesis import HealthCheck, settings
from moto import mock_aws

from functions.runtime import logger
from infra.app import build
from tests.canvas import on_the_bus
from tests.context import FunctionContext
from tests.ordering.engines import Handler, load_handlers, moto_server

# Not to the standard output of whichever test happens to import the functions first.
logger.registered_handler.stream = sys.__stderr__

pytest_plugins = ["tests.local_stage"]

# How long an example takes says something of the machine, and nothing of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, in one of the parallel processes, what shares an emulator or what a file sets up."""
    for item in items:
        shared = "local_stage" if "local_stage" in getattr(item, "fixturenames", ()) else item.path.stem
        item.add_marker(pytest.mark.xdist_group(shared))


@dataclass(frozen=True)
class Synthesised:
    """The templates of one stage."""

    state: dict[str, Any]
    processing: dict[str, Any]
    monitoring: dict[str, Any]


def synthesise(stage: str) -> Synthesised:
    """The templates of `stage`, without building the asset."""
    app = App(context={"stage": stage, "aws:cdk:bundling-stacks": []})
    return Synthesised(*(Template.from_stack(stack).to_json() for stack in build(app)))


@pytest.fixture(scope="session")
def prod() -> Synthesised:
    """The templates of stage prod."""
    return synthesise("prod")


Deliver = Callable[..., Any]


@pytest.fixture(scope="session")
def handlers() -> Iterator[dict[str, Handler]]:
    """The six handlers, by event name, writing to moto."""
    with moto_server() as endpoint:
        yield load_handlers(endpoint)


@pytest.fixture
def deliver(handlers: dict[str, Handler]) -> Deliver:
    """Hand a Canvas message to the function of its event, or of `to`."""

    def deliver(message: dict[str, Any], *, to: str | None = None) -> None:
        event_name = to or message["metadata"]["event_name"]
        handlers[event_name](on_the_bus(message, event_name), FunctionContext())

    return deliver


@pytest.fixture
def aws() -> Iterator[None]:
    """Moto in place of AWS: real expressions, in memory."""
    with mock_aws():
        yield


@dataclass(frozen=True)
class Output:
    """What a function wrote."""

    _log: io.StringIO
    _capsys: pytest.CaptureFixture[str]

    def lines(self) -> list[str]:
        """Every line since the last call: log and metrics."""
        written = self._log.getvalue() + self._capsys.readouterr().out
        self._log.seek(0)
        self._log.truncate()
        return [line for line in written.splitlines() if line]

    def metrics(self) -> dict[str, float]:
        """The sum of each metric, and of each dimension its value, since the last call."""
        blobs = [json.loads(line) for line in self.lines() if line.startswith('{"_aws"')]
        return {
            name: sum(value) if isinstance(value, list) else value
            for blob in blobs
            for name, value in blob.items()
            if name != "_aws"
        }


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Iterator[Output]:
    """What the functions log and count."""
    stream = io.StringIO()
    logger.registered_handler.setStream(stream)
    yield Output(stream, capsys)
    logger.registered_handler.setStream(sys.__stderr__)
