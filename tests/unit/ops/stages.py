"""Stages that the tests make up: settings and outputs by hand, clients of moto or scripted ones."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import boto3
import jmespath

from infra.settings import Settings
from ops.stage import Stage

REGION = "us-east-1"
ON_THE_EMULATOR = {"runs_on_emulator": True, "retry_hours": 1}
OUTPUTS = {
    "EventBus": "canvas-live-events-test",
    "IngestionQueueUrl": "IngestionQueue",
    "EnrollmentsTable": "enrollments",
    "SisBatchesTable": "sis_batches",
    "PageTopicArn": "arn:aws:sns:us-east-1:123456789012:page",
    "NotifyTopicArn": "arn:aws:sns:us-east-1:123456789012:notify",
}


@dataclass(frozen=True)
class MadeUpStage(Stage):
    """A stage with the outputs of both stacks, and with clients that a test names; the others are of the session."""

    outputs: dict[str, str] = field(default_factory=lambda: dict(OUTPUTS))
    clients: dict[str, Any] = field(default_factory=dict)

    def output(self, _part, name):
        return self.outputs[name]

    def client(self, service):
        return self.clients[service] if service in self.clients else super().client(service)


def made_up_stage(*, outputs=None, clients=None, **settings) -> MadeUpStage:
    """A deployed stage `test` with `settings`."""
    return MadeUpStage(
        Settings(stage="test", region=REGION, **settings),
        boto3.Session(region_name=REGION),
        outputs=OUTPUTS | (outputs or {}),
        clients=clients or {},
    )


class ScriptedClient(SimpleNamespace):
    """A client whose operations are attributes: an answer, or a function of the request. Pages are one page."""

    def __init__(self, **operations: Any) -> None:
        super().__init__(**{name: _operation(answer) for name, answer in operations.items()})

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=lambda **request: _Page([getattr(self, operation)(**request)]))


class _Page(list[dict[str, Any]]):
    def search(self, expression: str) -> Any:
        return (found for page in self for found in jmespath.search(expression, page))


def _operation(answer: Any) -> Any:
    return answer if callable(answer) else lambda **_: answer
