"""What every test may use."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The CDK runs on the Node of our own environment, whatever the machine has.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

import boto3
import pytest
from aws_cdk import App
from aws_cdk.assertions import Template
from hypothesis import HealthCheck, settings
from moto import mock_aws

from functions.routes import ROUTES, Route
from functions.runtime import logger, metrics
from infra.app import build
from infra.settings import Settings, stage_settings
from tests.canvas import event_batch, retried
from tests.context import FunctionContext
from tests.ordering.engines import Handler, load_handlers, moto_server

# Not to the standard output of whichever test happens to import the functions first.
logger.registered_handler.stream = sys.__stderr__

pytest_plugins = ["tests.local_stage"]

# How long an example takes says something of the machine, and nothing of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, in one of the parallel processes, what shares an emulator or what a file sets up."""
    for item in items:
        shared = "local_stage" if "local_stage" in getattr(item, "fixturenames", ()) else item.path.stem
        item.add_marker(pytest.mark.xdist_group(shared))


PROD = Settings(stage="prod", canvas_connected=True, root_account_ids=("21070000000000001", "21080000000000001"))


@dataclass(frozen=True)
class Synthesised:
    """The templates of one stage."""

    data: dict[str, Any]
    pipeline: dict[str, Any]


def synthesise(stage: Settings | str, *, routes: Sequence[Route] = ROUTES) -> Synthesised:
    """The templates of a stage, or of one of `stages.toml` by its name, without building the asset."""
    settings = stage if isinstance(stage, Settings) else stage_settings(stage)
    app = App(context={"aws:cdk:bundling-stacks": []})
    return Synthesised(*(Template.from_stack(stack).to_json() for stack in build(app, settings, routes=routes)))


@pytest.fixture(scope="session")
def prod() -> Synthesised:
    """The templates of a stage with default settings that Canvas is connected to, whatever `stages.toml` says."""
    return synthesise(PROD)


Deliver = Callable[..., Any]


@pytest.fixture(scope="session")
def handlers() -> Iterator[dict[str, Handler]]:
    """The six handlers, by event name, writing to moto."""
    with moto_server() as endpoint:
        yield load_handlers(endpoint)


@pytest.fixture
def deliver(handlers: dict[str, Handler]) -> Deliver:
    """Hand Canvas messages, as one batch, to the function of the first one's event, or of `to`.

    Returns the ids of the messages that are reported for retry: `message-0` is the first.
    """

    def deliver(*messages: dict[str, Any], to: str | None = None) -> list[str]:
        event_name = to or messages[0]["metadata"]["event_name"]
        return retried(handlers[event_name](event_batch(*messages, event_name=event_name), FunctionContext()))

    return deliver


@pytest.fixture
def dead_letters(aws: None) -> Callable[[], list[dict[str, Any]]]:
    """The dead-letter queue of every function, in moto: returns its messages, each once."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
    assert url == os.environ["DEAD_LETTER_QUEUE_URL"]

    def received() -> list[dict[str, Any]]:
        messages = []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages"
        ):
            messages += batch
        return messages

    return received


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

    def read(self) -> tuple[list[dict[str, Any]], dict[str, float]]:
        """Since the last call: every line of the log, and the sum of each metric and the value of each dimension."""
        lines = [json.loads(line) for line in self.lines()]
        metrics = {
            name: sum(value) if isinstance(value, list) else value
            for line in lines
            if "_aws" in line
            for name, value in line.items()
            if name != "_aws"
        }
        return [line for line in lines if "_aws" not in line], metrics

    def metrics(self) -> dict[str, float]:
        """The sum of each metric, and of each dimension its value, since the last call."""
        return self.read()[1]


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Iterator[Output]:
    """What the functions log and count."""
    stream = io.StringIO()
    logger.registered_handler.setStream(stream)
    yield Output(stream, capsys)
    logger.registered_handler.setStream(sys.__stderr__)
    metrics.clear_metrics()  # an empty batch counts nothing and leaves its dimension
