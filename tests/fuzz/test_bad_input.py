"""Whatever arrives: only documented errors come out, nothing of it in a log, and nobody else is blocked."""

import json
import traceback
from importlib import import_module

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.canvas.rejection import RejectedEvent
from functions.relay.forwarding import MAX_REQUEST_BYTES
from tests.canvas import EVENT_NAMES, at_the_front_door, example, on_the_bus
from tests.context import FunctionContext
from tests.tables import Tables

SECRET = "hunter2-Isaac-Newton"

fuzzed = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

# Every string of the input holds the secret, so that any of them in a log line is found.
secrets = st.text(max_size=20).map(lambda text: SECRET + text)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | secrets | st.just(SECRET + "\ud800")
json_values = st.recursive(
    scalars,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=5) | secrets, values, max_size=4),
    max_leaves=12,
)
known_keys = st.sampled_from(["metadata", "attributes", "body", "sensor", "dataVersion", "data"])
canvas_like = st.dictionaries(known_keys, json_values, max_size=6)


@st.composite
def spoilt_examples(draw, event_name):
    """The documented example with some of its values replaced by anything."""
    message = example(event_name)
    for part in ("metadata", "body"):
        for key in draw(st.sets(st.sampled_from(sorted(message[part])), max_size=4)):
            message[part][key] = draw(json_values)
    return message


class AcceptingBus:
    """A bus that takes everything. Moto's does, too, but would be asked thousands of times."""

    def __init__(self):
        self.taken = []

    def put_events(self, *, Entries):  # noqa: N803 - botocore's name
        self.taken += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}


@pytest.fixture
def relay(monkeypatch):
    module = import_module("functions.relay.handler")
    monkeypatch.setattr(module, "_events", AcceptingBus())
    return module


bodies = (
    st.binary(max_size=200).map(lambda raw: SECRET + raw.decode("utf-8", "surrogateescape"))
    | st.text(max_size=200).map(lambda text: SECRET + text)
    | st.sampled_from(["", "[" * 50_000, '{"a":' * 50_000, '{"metadata":' * 2_000 + "1" + "}" * 2_000])
    | (json_values | canvas_like).map(json.dumps)
    | st.sampled_from(EVENT_NAMES).flatmap(spoilt_examples).map(json.dumps)
    | st.just(json.dumps({"metadata": {"event_name": "course_created"}, "body": SECRET * MAX_REQUEST_BYTES}))
)


@fuzzed
@given(body=bodies)
def test_no_message_stops_the_relay_or_its_neighbour(relay, output, body):
    # GIVEN a batch of anything and of one good message
    good = json.dumps(example("sis_batch_created"))
    relay._events.taken.clear()

    # WHEN it is relayed
    result = relay.handler(at_the_front_door(body, good), FunctionContext())

    # THEN the good one is on the bus, at most the other is reported, and nothing of it is in the log
    assert result["batchItemFailures"] in ([], [{"itemIdentifier": "message-0"}])
    assert relay._events.taken[-1]["DetailType"] == "sis_batch_created"
    assert SECRET not in "\n".join(output.lines())


@pytest.fixture(scope="module")
def tables_for_all(prod):
    from moto import mock_aws

    with mock_aws():
        yield Tables(prod.state)


def refusal(handler, event):
    """What Lambda would print of a failed invocation; nothing where it succeeded."""
    try:
        handler(event, FunctionContext())
    except RejectedEvent as error:
        return "".join(traceback.format_exception(error))
    return ""


@pytest.mark.parametrize("event_name", EVENT_NAMES)
@fuzzed
@given(data=st.data())
def test_a_function_applies_or_rejects_a_spoilt_event_and_tells_nothing_of_it(
    tables_for_all, handlers, output, event_name, data
):
    message = data.draw(spoilt_examples(event_name))
    told = refusal(handlers[event_name], on_the_bus(message, event_name))
    assert SECRET not in told + "\n".join(output.lines())


@pytest.mark.parametrize("event_name", EVENT_NAMES)
@fuzzed
@given(event=json_values.map(on_the_bus) | canvas_like.map(on_the_bus) | canvas_like)
def test_a_function_rejects_what_is_no_event_at_all(tables_for_all, handlers, output, event_name, event):
    told = refusal(handlers[event_name], event)
    assert f"{event_name}: " in told
    assert SECRET not in told + "\n".join(output.lines())
