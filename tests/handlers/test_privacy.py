"""No secret and no personal value of any example reaches a log line, a metric or an exception text."""

import json
import logging
import traceback
from importlib import import_module

import pytest

from functions.canvas.rejection import RejectedEvent
from functions.state.table import WriteFailed
from tests.canvas import EVENT_NAMES, at_the_front_door, example, without
from tests.context import FunctionContext

# What an operator may see: names of events and fields, times, states, and the item's own key.
_KEY_FIELDS = {"event_name", "event_time", "enrollment_id", "sis_batch_id", "account_id", "producer"}


def private_values(message):
    """Every value of `message` that tells something of a person or opens a door."""
    private = set()
    for part in ("metadata", "body"):
        for name, value in message[part].items():
            if isinstance(value, str) and name not in _KEY_FIELDS and len(value) > 5:
                private.add(value)
    # An import's account is its key, and its global id is what metadata names too.
    return private - {"21070000000000001", "invited", "pending_invited", "initializing", "created"}


def spoil(message):
    """Messages that are refused for each of our reasons, each still holding everything private."""
    yield without(message, "metadata", "event_time")
    yield message | {"metadata": message["metadata"] | {"event_time": message["metadata"].get("user_login", "x" * 9)}}
    yield message | {"metadata": message["metadata"] | {"event_time": "2999-01-01T00:00:00Z"}}
    yield message | {"metadata": message["metadata"] | {"event_name": message["metadata"].get("url", "course_created")}}
    yield message | {"body": json.dumps(message["body"])}
    for field, value in message["body"].items():
        yield message | {"body": message["body"] | {field: {"nested": value, "name": "Isaac Newton"}}}
        yield message | {"body": message["body"] | {field: "agJdJdaSLJfJULBa2803 Isaac Newton"}}


def refusal(deliver, message, *, to):
    """The lines that Lambda would log of `message`'s rejection; none where it is a valid event after all."""
    try:
        deliver(message, to=to)
    except RejectedEvent as error:
        return traceback.format_exception(error)
    return []


@pytest.fixture
def debug_logging():
    from functions.runtime import logger

    before = logger.log_level
    logger.setLevel(logging.DEBUG)
    yield
    logger.setLevel(before)


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_nothing_private_is_written_whatever_becomes_of_the_event(
    tables, deliver, output, caplog, debug_logging, event_name
):
    # GIVEN an example, also as a duplicate, as a stale event, and spoilt in every way that is refused
    message = example(event_name)
    private = private_values(message)
    assert private

    # WHEN all of them arrive
    deliver(message)
    deliver(message)
    deliver(message | {"metadata": message["metadata"] | {"event_time": "2001-01-01T00:00:00Z"}})
    written = output.lines()
    for spoilt in spoil(message):
        written += refusal(deliver, spoilt, to=event_name)
    written += output.lines()

    # THEN the log, the metrics and the exceptions tell of them without one private value
    written = "\n".join([*written, caplog.text])
    assert "Applied" in written
    assert "Rejected" in written
    assert [value for value in private if value in written] == []
    for secret in ("agJdJdaSLJfJULBa2803", "Isaac Newton"):
        assert secret not in written


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_nothing_private_is_written_when_dynamodb_fails(aws, deliver, output, caplog, event_name):
    message = example(event_name)
    with pytest.raises(WriteFailed) as failed:
        deliver(message)
    written = "\n".join([*traceback.format_exception(failed.value), *output.lines(), caplog.text])
    assert [value for value in private_values(message) if value in written] == []


def test_nothing_private_is_written_by_the_relay(aws, output, caplog):
    # GIVEN every example, whole and torn, and no bus to take them
    messages = [json.dumps(example(name)) for name in EVENT_NAMES]
    relay = import_module("functions.relay.handler")

    # WHEN they are relayed
    for body in messages:
        relay.handler(at_the_front_door(body, body[: len(body) // 2]), FunctionContext())

    # THEN the log tells of the failures only
    written = "\n".join([*output.lines(), caplog.text])
    assert "Unreadable" in written
    for name in EVENT_NAMES:
        assert [value for value in private_values(example(name)) if value in written] == []
