"""Messages become entries, and entries as few calls as EventBridge's limits allow."""

import json

import pytest

from functions.canvas.envelope import UnreadableMessage
from functions.relay.forwarding import MAX_ENTRIES, MAX_REQUEST_BYTES, entry_of, entry_size, requests
from tests.canvas import EVENT_NAMES, example


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_an_example_is_forwarded_as_itself_but_for_its_secrets(event_name):
    # GIVEN Canvas' message
    message = example(event_name)

    # WHEN it becomes an entry
    entry = entry_of(json.dumps(message), event_bus="bus")

    # THEN the bus can route it, and the body is as Canvas sent it
    assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == ("bus", "canvas", event_name)
    detail = json.loads(entry["Detail"])
    assert detail["body"] == message["body"]
    assert detail["metadata"].keys() == message["metadata"].keys()
    assert "agJdJdaSLJfJULBa2803" not in entry["Detail"]


def test_attributes_become_metadata_and_nothing_else_comes_along():
    # GIVEN a sender that names the envelope's key `attributes` and adds one of its own
    message = {"attributes": {"event_name": "x", "url": "/?token=s"}, "body": {}, "more": {"url": "/?token=s"}}

    # WHEN it becomes an entry, THEN the rules can match it, and no second URL slips through
    assert json.loads(entry_of(json.dumps(message), event_bus="bus")["Detail"]) == {
        "metadata": {"event_name": "x", "url": "/?token=REDACTED"},
        "body": {},
    }


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"metadata": {"event_name": "x"}, "body": NaN}', "NaN or Infinity"),
        ("[]", "is not a JSON object"),
        ("null", "is not a JSON object"),
        ('{"body": {}}', "has no metadata"),
        ('{"metadata": null, "body": {}}', "has no metadata"),
        ('{"metadata": {}, "body": {}}', "has no event_name"),
        ('{"metadata": {"event_name": 7}, "body": {}}', "has no event_name"),
        ('{"metadata": {"event_name": "a\\nb"}, "body": {}}', "has no event_name"),
        ('{"metadata": {"event_name": "\\ud800"}, "body": {}}', "has no event_name"),
        (json.dumps({"metadata": {"event_name": "x" * 129}}), "has no event_name"),
        ('{"sensor": "s", "dataVersion": "v", "data": []}', "Caliper"),
        (json.dumps({"metadata": {"event_name": "x"}, "body": "y" * MAX_REQUEST_BYTES}), "is larger than"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_rule(body, reason):
    with pytest.raises(UnreadableMessage, match=reason):
        entry_of(body, event_bus="bus")


def entries(*sizes):
    overhead = len("canvas") + len("x")
    return [
        (str(n), {"Source": "canvas", "DetailType": "x", "Detail": "y" * (size - overhead)})
        for n, size in enumerate(sizes)
    ]


def test_a_batch_is_one_call():
    (group,) = requests(entries(*[1000] * MAX_ENTRIES))
    assert len(group) == MAX_ENTRIES


def test_more_entries_than_a_call_takes_are_several_calls_in_order():
    groups = list(requests(entries(*[1000] * (MAX_ENTRIES + 1))))
    assert [[n for n, _ in group] for group in groups] == [[str(n) for n in range(MAX_ENTRIES)], [str(MAX_ENTRIES)]]


def test_more_bytes_than_a_call_takes_are_several_calls():
    half = MAX_REQUEST_BYTES // 2
    assert [len(group) for group in requests(entries(half, half, 100, half))] == [2, 2]


def test_nothing_is_no_call():
    assert list(requests([])) == []


def test_a_size_is_counted_in_bytes():
    assert entry_size({"Source": "é", "DetailType": "x", "Detail": "yy"}) == 5
