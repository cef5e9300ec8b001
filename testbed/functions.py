"""Invokes the six event functions as an event source mapping does, with test doubles of SQS and EventBridge."""

import contextlib
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any
from unittest import mock

from functions import dead_letters
from functions.routes import EVENT_NAMES
from testbed.events import event_batch, retried
from testbed.lambda_context import FunctionContext

Handler = Callable[[dict[str, Any], Any], Any]


@dataclass
class DeadLetterQueue:
    """Test double of the SQS client: records the dead-lettered messages.

    Attributes:
        entries: accepted entries of all requests.
        urls: queue URL of each request.
        error: raised by every request, where set.
        refused: ids of the entries that are reported as `Failed`.
    """

    entries: list[dict[str, Any]] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    error: Exception | None = None
    refused: frozenset[str] = frozenset()

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """SendMessageBatch of SQS."""
        self.urls.append(QueueUrl)
        if self.error:
            raise self.error
        self.entries += [entry for entry in Entries if entry["Id"] not in self.refused]
        return {"Failed": [{"Id": e["Id"], "Code": "InternalError"} for e in Entries if e["Id"] in self.refused]}


@dataclass
class EventBus:
    """Test double of the EventBridge client: returns scripted answers, then accepts everything.

    Attributes:
        answers: result entries of each request, or the error to raise.
        requests: entries of each request.
    """

    answers: list[list[dict[str, str]] | Exception] = field(default_factory=list)
    requests: list[list[dict[str, str]]] = field(default_factory=list)

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        """PutEvents of EventBridge."""
        self.requests.append(Entries)
        answer = self.answers.pop(0) if self.answers else [{"EventId": "1"}] * len(Entries)
        if isinstance(answer, Exception):
            raise answer
        return {"FailedEntryCount": sum("ErrorCode" in entry for entry in answer), "Entries": answer}


@dataclass(kw_only=True)
class Functions:
    """The six event functions with a shared dead-letter queue.

    Attributes:
        handlers: the real handlers, by event name.
        dead_letters: dead-letter queue of all functions.
        counted: sums of the recorded metrics, by name.
    """

    handlers: dict[str, Handler]
    dead_letters: DeadLetterQueue = field(default_factory=DeadLetterQueue)
    counted: Counter[str] = field(default_factory=Counter)

    def deliver_batch(self, messages: list[dict[str, Any]]) -> list[str]:
        """Deliver Canvas messages of one event type as one batch; return `Done`, `Rejected` or `Retried` for each."""
        event_name = (messages[0].get("metadata") or messages[0]["attributes"])["event_name"]
        batch = event_batch(*messages, event_name=event_name)
        accepted, printed = len(self.dead_letters.entries), io.StringIO()
        sqs = mock.patch.object(dead_letters, "_sqs", return_value=self.dead_letters)
        with sqs, contextlib.redirect_stdout(printed):
            again = retried(self.handlers[event_name](batch, FunctionContext()))
        self.counted += _counted(printed.getvalue())
        rejected = [entry["MessageBody"] for entry in self.dead_letters.entries[accepted:]]
        return [
            "Retried" if record["messageId"] in again else "Rejected" if record["body"] in rejected else "Done"
            for record in batch["Records"]
        ]

    def deliver(self, message: dict[str, Any]) -> str:
        """Deliver `message` as a batch of one and return the metric that it was counted under."""
        before = self.counted.copy()
        self.deliver_batch([message])
        (outcome,) = (self.counted - before).keys() & {"Applied", "Duplicate", "Stale", "Rejected", "Retried"}
        return outcome


def load_handlers(endpoint: str) -> dict[str, Handler]:
    """Import the six handlers anew, with a DynamoDB client of their own for `endpoint`."""
    loaded_before = _unload_handlers()
    os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint
    try:
        return {name: import_module(f"functions.handlers.{name}").handler for name in EVENT_NAMES}
    finally:
        os.environ.pop("AWS_ENDPOINT_URL_DYNAMODB", None)
        _unload_handlers()
        sys.modules.update(loaded_before)


def _unload_handlers() -> dict[str, ModuleType]:
    loaded = [name for name in sys.modules if name == "functions.batch" or name.startswith("functions.handlers")]
    return {name: sys.modules.pop(name) for name in loaded}


def _counted(printed: str) -> Counter[str]:
    sums: Counter[str] = Counter()
    for line in printed.splitlines():
        if line.startswith('{"_aws"'):
            sums.update({name: int(sum(v)) for name, v in json.loads(line).items() if isinstance(v, list)})
    return sums
