"""Fuzz tests: any input is forwarded, applied or dead-lettered, does not affect its batch, and is never logged."""

import json
import re
from collections import Counter
from importlib import import_module

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from functions import dead_letters
from functions.handlers.relay import FORWARDED_METADATA, MAX_EVENT_BYTES
from testbed.events import EVENT_NAMES, example, on_the_bus, retried, sqs_batch
from testbed.functions import DeadLetterQueue
from testbed.lambda_context import FunctionContext
from testbed.tables import Tables

SECRET = "hunter2-Isaac-Newton"

fuzzed = settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

# JSON that `json.dumps` cannot produce: `written` removes the quotes.
unusual = st.sampled_from(
    ["1e400", "-1e400", "1e-400", "-0", "0." + "3" * 400, "9" * 400, "9" * 5_000, "NaN", "-Infinity"]
    + ["[" * depth + "]" * depth for depth in (100, 300, 2_000, 100_000)]
).map("raw:{}".format)

# Every string of the input contains the secret, so that any of them is found in a log line.
secrets = st.text(max_size=20).map(lambda text: SECRET + text)
odd_strings = st.sampled_from([SECRET + "\ud800", "\udfff" + SECRET, SECRET + "\0", SECRET * 2_000])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | secrets | odd_strings | unusual
json_values = st.recursive(
    scalars,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=5) | secrets, values, max_size=4),
    max_leaves=12,
)
known_keys = st.sampled_from(["metadata", "attributes", "body", "sensor", "dataVersion", "data"])
canvas_like = st.dictionaries(known_keys, json_values, max_size=6)
no_json = (
    st.binary(max_size=200).map(lambda raw: SECRET + raw.decode("utf-8", "replace"))
    | st.text(max_size=200).map(lambda text: SECRET + text)
    | st.sampled_from(["", "[" * 50_000, '{"a":' * 50_000, '{"metadata":' * 2_000 + "1" + "}" * 2_000])
)
too_large = st.sampled_from(EVENT_NAMES).map(lambda name: json.dumps(example(name, body={"name": SECRET * 2_000})))


def written(message):
    """Serialize `message`."""
    return re.sub(r'"raw:([^"]*)"', r"\1", json.dumps(message))


@st.composite
def spoilt(draw, event_name):
    """The documented example with some values replaced by arbitrary JSON."""
    message = example(event_name)
    for part in ("metadata", "body"):
        for key in draw(st.sets(st.sampled_from(sorted(message[part])), max_size=4)):
            message[part][key] = draw(json_values)
    return message


@st.composite
def spoilt_on_the_bus(draw, event_name):
    """An EventBridge event of the documented example, with some values replaced by arbitrary JSON."""
    event = on_the_bus(example(event_name), event_name)
    for key in draw(st.sets(st.sampled_from(sorted(event)), min_size=1, max_size=4)):
        event[key] = draw(json_values)
    return event


@pytest.fixture
def dead_letter_queue(monkeypatch):
    queue = DeadLetterQueue()
    monkeypatch.setattr(dead_letters, "_sqs", lambda: queue)
    return queue


@pytest.fixture
def delivered(output, dead_letter_queue):
    """Deliver a body between two valid ones, and return the metrics of the batch."""

    def delivered(handler, body, good):
        dead_letter_queue.entries.clear()

        # WHEN it is delivered between two valid messages
        response = handler(sqs_batch(good, body, good), FunctionContext())
        log, metrics = output.read()

        # THEN it is dead-lettered or done, nothing is retried, and the log, metrics and reason have none of its content
        assert retried(response) == []
        assert SECRET not in f"{log}{metrics}"
        for entry in dead_letter_queue.entries:
            reason = entry["MessageAttributes"]["reason"]["StringValue"]
            assert entry["MessageBody"] == body
            assert SECRET not in reason
            assert reason.isascii()
            assert reason.isprintable()
            assert 1 <= len(reason) <= 1024
        counted = Counter(metrics)
        assert counted["Rejected"] == len(dead_letter_queue.entries) <= 1
        return counted

    return delivered


class AcceptingBus:
    """Event bus that accepts everything, faster than moto."""

    def __init__(self):
        self.accepted = []

    def put_events(self, *, Entries):  # noqa: N803 - botocore's name
        self.accepted += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}


@pytest.fixture
def relay(monkeypatch):
    module = import_module("functions.handlers.relay")
    monkeypatch.setattr(module, "_events", AcceptingBus())
    monkeypatch.setattr(module, "_shards", {2107})
    return module


@fuzzed
@given(
    body=no_json | too_large | (json_values | canvas_like | st.sampled_from(EVENT_NAMES).flatmap(spoilt)).map(written)
)
def test_the_relay_forwards_drops_or_dead_letters_anything(relay, delivered, body):
    # GIVEN any text
    relay._events.accepted.clear()

    counted = delivered(relay.handler, body, json.dumps(example("sis_batch_created")))

    # THEN each message has one outcome, and both valid ones are on the bus
    assert sum(counted[name] for name in ("Forwarded", "Ignored", "Foreign", "Rejected")) == 3
    accepted = relay._events.accepted
    assert len(accepted) == counted["Forwarded"]
    assert accepted[0]["Detail"] == accepted[-1]["Detail"]

    # AND forwarded events are JSON, below the size limit, with allowed metadata only
    for entry in accepted:
        assert len(entry["Detail"]) <= MAX_EVENT_BYTES
        detail = json.loads(entry["Detail"], parse_constant=pytest.fail)
        assert detail["metadata"].keys() <= set(FORWARDED_METADATA)


@pytest.fixture(scope="module")
def tables_for_all(prod):
    with mock_aws():
        yield Tables(prod.data)


@pytest.mark.parametrize("event_name", EVENT_NAMES)
@fuzzed
@given(data=st.data())
def test_a_function_applies_or_dead_letters_a_spoilt_event(tables_for_all, handlers, delivered, event_name, data):
    # GIVEN the documented event with arbitrary values
    event = data.draw(spoilt(event_name).map(on_the_bus) | spoilt_on_the_bus(event_name))

    counted = delivered(handlers[event_name], written(event), json.dumps(on_the_bus(example(event_name))))

    # THEN each message has one outcome
    assert sum(counted[name] for name in ("Applied", "Duplicate", "Stale", "Rejected")) == 3


@pytest.mark.parametrize("event_name", EVENT_NAMES)
@fuzzed
@given(
    body=no_json | (json_values | canvas_like | json_values.map(on_the_bus) | canvas_like.map(on_the_bus)).map(written)
)
def test_a_function_dead_letters_what_is_no_event_at_all(tables_for_all, handlers, delivered, event_name, body):
    counted = delivered(handlers[event_name], body, json.dumps(on_the_bus(example(event_name))))

    # THEN it is dead-lettered, and the valid ones are done
    assert counted["Rejected"] == 1
    assert sum(counted[name] for name in ("Applied", "Duplicate", "Stale")) == 2
