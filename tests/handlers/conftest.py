"""The tables of the template, in moto, and a bus and a dead-letter queue that fail as a test says."""

from importlib import import_module

import pytest

from functions import dead_letters
from tests.ordering.engines import DeadLetterQueue
from tests.tables import Tables


@pytest.fixture
def tables(aws, prod):
    """Both tables, empty."""
    return Tables(prod.data)


@pytest.fixture
def scripted_dead_letters(monkeypatch):
    """A dead-letter queue that fails where a test says so: moto's never does."""
    queue = DeadLetterQueue()
    monkeypatch.setattr(dead_letters, "_sqs", lambda: queue)
    return queue


class Bus:
    """A bus that answers as a test says, and otherwise accepts everything, as moto's does."""

    def __init__(self):
        self.answers, self.requests = [], []

    def put_events(self, *, Entries):  # noqa: N803 - botocore's name
        self.requests.append(Entries)
        answer = self.answers.pop(0) if self.answers else [{"EventId": "1"}] * len(Entries)
        if isinstance(answer, Exception):
            raise answer
        return {"FailedEntryCount": sum("ErrorCode" in entry for entry in answer), "Entries": answer}


@pytest.fixture
def scripted_bus(monkeypatch):
    """The bus of the relay, in place of moto's."""
    bus = Bus()
    monkeypatch.setattr(import_module("functions.handlers.relay"), "_events", bus)
    return bus
