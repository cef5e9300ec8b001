"""Shared fixtures. They import CDK, moto and engines on first use, so that unit tests start without them."""

from __future__ import annotations

import functools
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from botocore import session
from hypothesis import HealthCheck, settings

from functions import dead_letters as dead_lettering
from functions.runtime import logger, metrics
from testbed.events import event_batch, retried
from testbed.functions import DeadLetterQueue, EventBus, Handler, load_handlers
from testbed.lambda_context import FunctionContext

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from testbed.stacks import Synthesised

# Not to the captured standard output of the test that imports the functions first.
assert isinstance(logger.registered_handler, logging.StreamHandler)
logger.registered_handler.stream = sys.__stderr__

pytest_plugins = ["tests.local_stage"]

# The duration of an example depends on the machine.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


# The longest tests start first, so that the parallel processes end at about the same time.
_LONGEST = ("local_stage", "test_documents")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests that share an emulator, templates or the fixtures of a file in one of the parallel processes."""

    def group(item: pytest.Item) -> str:
        if "local_stage" in getattr(item, "fixturenames", ()):
            return "local_stage"
        return "infra" if item.path.parent.name == "infra" else item.path.stem

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=lambda item: _LONGEST.index(group(item)) if group(item) in _LONGEST else len(_LONGEST))


@pytest.fixture(scope="session")
def prod() -> Synthesised:
    """Templates of a stage with default settings and Canvas connected, independent of `stages.toml`."""
    from testbed.stacks import PROD, synthesise

    return synthesise(PROD)


Deliver = Callable[..., Any]


@pytest.fixture(scope="session")
def handlers() -> Iterator[dict[str, Handler]]:
    """The six handlers by event name, with moto as DynamoDB."""
    from testbed.engines import moto_server

    with moto_server() as endpoint:
        yield load_handlers(endpoint)


@pytest.fixture
def deliver(handlers: dict[str, Handler]) -> Deliver:
    """Deliver Canvas messages as one batch to the function of the first event, or of `to`.

    Returns the ids of the messages to retry: `message-0` is the first.
    """

    def deliver(*messages: dict[str, Any], to: str | None = None) -> list[str]:
        event_name = to or messages[0]["metadata"]["event_name"]
        return retried(handlers[event_name](event_batch(*messages, event_name=event_name), FunctionContext()))

    return deliver


@pytest.fixture
def dead_letters(aws: None) -> Callable[[], list[MessageTypeDef]]:
    """A dead-letter queue in moto, shared by all functions. Returns a function that receives new messages."""
    import boto3

    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
    assert url == os.environ["DEAD_LETTER_QUEUE_URL"]

    def received() -> list[MessageTypeDef]:
        messages: list[MessageTypeDef] = []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages"
        ):
            messages += batch
        return messages

    return received


@pytest.fixture
def scripted_dead_letters(monkeypatch: pytest.MonkeyPatch) -> DeadLetterQueue:
    """Test double of the dead-letter queue of all functions, with scripted errors."""
    queue = DeadLetterQueue()
    monkeypatch.setattr(dead_lettering, "_sqs", lambda: queue)
    return queue


@pytest.fixture
def scripted_bus(monkeypatch: pytest.MonkeyPatch) -> EventBus:
    """Test double of the event bus of the relay, with scripted errors."""
    bus = EventBus()
    monkeypatch.setattr(import_module("functions.handlers.relay"), "_events", bus)
    return bus


@pytest.fixture(scope="session", autouse=True)
def service_models() -> None:
    """Let all of botocore's sessions share the models of the services: moto ends each session with its test."""
    session.create_loader = functools.cache(session.create_loader)


@pytest.fixture
def aws() -> Iterator[None]:
    """AWS in moto, which evaluates the DynamoDB expressions."""
    from moto import mock_aws

    with mock_aws():
        yield


@dataclass(frozen=True)
class Output:
    """Log and metrics of the functions."""

    _log: io.StringIO
    _capsys: pytest.CaptureFixture[str]

    def lines(self) -> list[str]:
        """New lines of log and metrics since the last call."""
        written = self._log.getvalue() + self._capsys.readouterr().out
        self._log.seek(0)
        self._log.truncate()
        return [line for line in written.splitlines() if line]

    def read(self) -> tuple[list[dict[str, Any]], dict[str, float]]:
        """New lines of the log since the last call, with the sum of each metric and the value of each dimension."""
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
        """Sum of each metric, and value of each dimension, since the last call."""
        return self.read()[1]


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Iterator[Output]:
    """Log and metrics of the functions, captured."""
    metrics.clear_metrics()  # an empty batch counts nothing and leaves its dimension
    stream, handler = io.StringIO(), logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield Output(stream, capsys)
    handler.setStream(sys.__stderr__)
