"""Privacy: logs, metrics, exceptions and reasons have no personal data and no secret; the bus gets the body only."""

import json
import logging
import traceback
from importlib import import_module
from itertools import islice

import pytest
from botocore.exceptions import ClientError

from functions.canvas.event import parse_event
from functions.canvas.rejection import RejectedEvent
from functions.runtime import logger
from testbed.events import EVENT_NAMES, example, on_the_bus, sqs_batch, without
from testbed.lambda_context import FunctionContext
from testbed.models import MODELS

# Values that operators may see: names of events and fields, times, states, and the key of the item.
_KEY_FIELDS = {"event_name", "event_time", "enrollment_id", "sis_batch_id", "account_id", "producer"}

SECRETS = {
    "client_ip": "93.184.216.34",
    "hostname": "oxana.instructure.com",
    "referrer": "https://oxana.instructure.com/login?access_token=1398~agJdJdaSLJfJULBa2803",
    "session_id": "ef686f8ed684abf78cbfa1f6a58112b5",
    "url": "https://oxana.instructure.com/api/v1/sis_imports.json?access_token=1398~agJdJdaSLJfJULBa2803",
    "user_agent": "python-requests/2.5.1",
    "user_id": "21070000000000109",
    "user_login": "oxana@example.com",
    "user_sis_id": "456-T45",
    "invented_later": {"access_token": "1398~agJdJdaSLJfJULBa2803"},
}
FORWARDED = {
    "event_name": "enrollment_created",
    "event_time": "2018-10-09T21:07:33Z",
    "root_account_id": "21070000000000001",
    "producer": "canvas",
    "request_id": "1dd9dc6f-2fb0-4c19-a6c5-7ee1bf3ed295",
    "job_id": "1020020528469291",
}


def private_values(message):
    """All values of `message` that are personal data or secrets."""
    private = set()
    for part in ("metadata", "body"):
        for name, value in message[part].items():
            if isinstance(value, str) and name not in _KEY_FIELDS and len(value) > 5:
                private.add(value)
    # The account of an import is part of its key, and its global id is in the metadata, too.
    return private - {"21070000000000001", "invited", "pending_invited", "initializing", "created"}


def spoil(message):
    """Messages that are rejected for each reason, with all private values."""
    yield without(message, "metadata", "event_time")
    yield message | {"metadata": message["metadata"] | {"event_time": message["metadata"].get("user_login", "x" * 9)}}
    yield message | {"metadata": message["metadata"] | {"event_time": "2999-01-01T00:00:00Z"}}
    yield message | {"metadata": message["metadata"] | {"event_name": message["metadata"].get("url", "course_created")}}
    yield message | {"body": json.dumps(message["body"])}
    for field, value in message["body"].items():
        yield message | {"body": message["body"] | {field: {"nested": value, "name": "Isaac Newton"}}}
        yield message | {"body": message["body"] | {field: "agJdJdaSLJfJULBa2803 Isaac Newton"}}


def batched(messages):
    """Split `messages` into batches of ten."""
    messages = iter(messages)
    return iter(lambda: list(islice(messages, 10)), [])


@pytest.fixture
def debug_logging():
    before = logger.log_level
    logger.setLevel(logging.DEBUG)
    yield
    logger.setLevel(before)


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_nothing_private_is_written_for_any_outcome_of_an_event(
    tables, deliver, dead_letters, output, caplog, debug_logging, event_name
):
    # GIVEN an example, a duplicate, a stale event, and messages for every reason of rejection
    message = example(event_name)
    stale = message | {"metadata": message["metadata"] | {"event_time": "2001-01-01T00:00:00Z"}}
    private = private_values(message)
    assert private

    # WHEN all of them are delivered
    for delivered in (message, message, stale):
        deliver(delivered)
    for batch in batched(spoil(message)):
        deliver(*batch, to=event_name)

    # THEN log, metrics and reasons report them without any private value
    attributes = [str(dead_letter["MessageAttributes"]) for dead_letter in dead_letters()]
    assert attributes
    # The client logs every write at DEBUG; with the JSON log format, Lambda sets the root logger to INFO.
    assert logging.getLogger("pydynox").level == logging.ERROR
    written = "\n".join([*output.lines(), *attributes, caplog.text])
    assert "Applied" in written
    assert "Rejected" in written
    assert [value for value in {*private, "agJdJdaSLJfJULBa2803", "Isaac Newton"} if value in written] == []


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_nothing_private_is_in_an_exception(event_name):
    for spoilt in spoil(example(event_name)):
        try:
            parse_event(json.dumps(on_the_bus(spoilt, event_name)), MODELS[event_name])
        except RejectedEvent as error:
            written = "\n".join([*traceback.format_exception(error), str(error.__context__)])
            private = {*private_values(example(event_name)), "agJdJdaSLJfJULBa2803", "Isaac Newton"}
            assert [value for value in private if value in written] == []


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_nothing_private_is_written_when_dynamodb_fails(aws, deliver, output, caplog, event_name):
    # GIVEN no table
    message = example(event_name)
    assert deliver(message) == ["message-0"]
    written = "\n".join([*output.lines(), caplog.text])
    assert "ResourceNotFoundException" in written
    assert [value for value in private_values(message) if value in written] == []


def test_nothing_private_is_written_by_the_relay(scripted_bus, scripted_dead_letters, output, caplog):
    # GIVEN every example, complete and truncated, and a bus that rejects all
    relay = import_module("functions.handlers.relay")
    whole = [json.dumps(example(name)) for name in EVENT_NAMES]
    scripted_bus.answers += [ClientError({"Error": {"Code": "ThrottlingException"}}, "PutEvents")] * len(whole)

    # WHEN they are delivered to the relay
    for body in whole:
        relay.handler(sqs_batch(body, body[: len(body) // 2]), FunctionContext())

    # THEN log and reasons report the failures only
    reasons = [str(entry["MessageAttributes"]) for entry in scripted_dead_letters.entries]
    written = "\n".join([*output.lines(), *reasons, caplog.text])
    assert "the message is not JSON" in written
    assert "ThrottlingException" in written
    for name in EVENT_NAMES:
        assert [value for value in private_values(example(name)) if value in written] == []


def test_the_relay_forwards_six_keys_of_the_metadata_and_the_body(scripted_bus, deliver, tables, output, caplog):
    # GIVEN an event with secrets in its metadata
    message = {"metadata": FORWARDED | SECRETS, "body": example("enrollment_created")["body"]}

    # WHEN it is delivered to the relay
    import_module("functions.handlers.relay").handler(sqs_batch(json.dumps(message)), FunctionContext())

    # THEN the bus gets the body, and the metadata that locate, order and trace the event
    ((entry,),) = scripted_bus.requests
    assert json.loads(entry["Detail"]) == {"metadata": FORWARDED, "body": message["body"]}

    # AND neither the entry nor the output of relay and event function has a secret
    deliver(json.loads(entry["Detail"]))
    written = "\n".join([json.dumps(entry), *output.lines(), caplog.text])
    assert "Applied" in written
    assert [secret for secret in SECRETS.values() if str(secret) in written] == []
