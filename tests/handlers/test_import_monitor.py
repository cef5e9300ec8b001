"""The import monitor on the index of unfinished imports, as written by the event functions."""

from importlib import import_module

import boto3
import pytest

from testbed.events import example
from testbed.lambda_context import FunctionContext


@pytest.fixture
def unfinished(tables, output, monkeypatch):
    """Run the monitor and return its count of unfinished imports."""

    def unfinished():
        module = import_module("functions.handlers.import_monitor")
        # moto does not patch clients that were created before its import.
        monkeypatch.setattr(module, "_dynamodb", boto3.client("dynamodb"))
        output.lines()
        module.handler({"time": "2026-11-01T12:00:00Z"}, FunctionContext())
        return output.metrics()["ImportsUnfinished"]

    return unfinished


def an_import(number, state, event_time="2026-11-01T00:00:00Z"):
    return example(
        "sis_batch_updated",
        metadata={"event_time": event_time},
        body={"sis_batch_id": str(number), "workflow_state": state},
    )


def test_unfinished_imports_are_counted_and_finished_or_unknown_ones_are_not(deliver, unfinished):
    # GIVEN two unfinished imports, and three finished or in an unknown state
    for number, state in enumerate(["importing", "initializing", "imported", "failed_with_messages", "invented_later"]):
        deliver(an_import(number + 1, state))

    # WHEN the monitor runs, THEN it counts two
    assert unfinished() == 2


def test_an_import_that_ends_leaves_the_index(tables, deliver, unfinished):
    # GIVEN an import that was unfinished, and is imported now
    deliver(an_import(1, "importing", "2026-11-01T00:00:00Z"))
    deliver(an_import(1, "imported", "2026-11-01T01:00:00Z"))

    # WHEN an older state is delivered late
    deliver(an_import(1, "importing", "2026-10-31T00:00:00Z"))

    # THEN the monitor counts none, and the item is not in the index
    assert unfinished() == 0
    assert "unfinished_since" not in tables.item("sis_batches")
