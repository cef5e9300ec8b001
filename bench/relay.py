"""How many times the relay asks the bus to take what it has."""

import contextlib
import io
import itertools
import json
import os
from importlib import import_module
from typing import Any

from infra.front_door import BATCH_SIZE

from tests.canvas import EVENT_NAMES, at_the_front_door, example
from tests.context import FunctionContext


class CountingBus:
    """Takes everything, and counts the calls."""

    def __init__(self) -> None:
        self.calls = 0

    def put_events(self, *, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - botocore's name
        """As EventBridge's own."""
        self.calls += 1
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}


def put_events_calls_per_event(batches: int) -> float:
    """`PutEvents` calls of the relay for each event, when messages wait and SQS hands them over in full batches."""
    os.environ.update(EVENT_BUS="bench", FORWARD_ALL_EVENTS="false")
    relay: Any = import_module("functions.relay.handler")
    bus = CountingBus()
    relay._events = bus  # noqa: SLF001 - the only way to count without a bus
    messages = itertools.cycle(json.dumps(example(event_name)) for event_name in EVENT_NAMES)
    with contextlib.redirect_stdout(io.StringIO()):  # its metrics
        for _ in range(batches):
            relay.handler(at_the_front_door(*itertools.islice(messages, BATCH_SIZE)), FunctionContext())
    return bus.calls / (batches * BATCH_SIZE)
