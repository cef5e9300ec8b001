"""Publishes corrections: in full requests, with a rate limit, and retries of failed entries only."""

import json

import pytest

from functions.routes import CORRECTION_SOURCE
from reconciliation import publishing as module
from reconciliation.correction import Correction
from reconciliation.failure import CorrectionRefused, TemporaryFailure
from reconciliation.publishing import RateLimit, publish

THROTTLED, MALFORMED = {"ErrorCode": "ThrottlingException"}, {"ErrorCode": "MalformedDetail", "ErrorMessage": "hunter2"}


class Bus:
    """Test double of the event bus: returns scripted answers, then accepts everything."""

    def __init__(self):
        self.answers, self.requests = [], []

    def put_events(self, *, Entries):  # noqa: N803 - botocore's name
        self.requests.append([json.loads(entry["Detail"])["body"]["enrollment_id"] for entry in Entries])
        self.entries = Entries
        answer = self.answers.pop(0) if self.answers else [{"EventId": "1"}] * len(Entries)
        return {"FailedEntryCount": sum("ErrorCode" in entry for entry in answer), "Entries": answer}


@pytest.fixture
def bus(monkeypatch):
    bus = Bus()
    monkeypatch.setattr(module, "aws_client", lambda _: bus)
    return bus


@pytest.fixture
def clock(monkeypatch, waits):
    """Clock that only waits advance."""
    monkeypatch.setattr(module, "_clock", lambda: 1000 + sum(waits))


def correction(number, **body):
    return Correction(
        event_name="enrollment_updated",
        event_time="2026-11-01T00:00:00.000001Z",
        root_account_id="21070000000000001",
        body={"enrollment_id": str(number), **body},
    )


def send(*numbers, rate=1_000_000):
    return list(publish(map(correction, numbers), "bus", RateLimit(rate)))


def test_ten_corrections_are_one_request(bus):
    assert send(*range(25)) == [10, 10, 5]
    assert [len(request) for request in bus.requests] == [10, 10, 5]
    assert send() == []


def test_a_correction_is_an_event_of_ours(bus):
    send(7)
    (entry,) = bus.entries
    assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == (
        "bus",
        CORRECTION_SOURCE,
        "enrollment_updated",
    )


def test_large_corrections_share_no_request_that_is_too_large(bus):
    # GIVEN corrections of 100 KB, two of which fit into a request, and one that is larger than a request
    large = [correction(number, type="x" * 100_000) for number in range(3)]
    assert list(publish(large, "bus", RateLimit(1000))) == [2, 1]
    assert list(publish([correction(1, type="x" * 300_000), correction(2)], "bus", RateLimit(1000))) == [1, 1]


def test_only_what_failed_is_sent_again(bus, waits):
    bus.answers = [[{}, THROTTLED, {}, THROTTLED], [{}, THROTTLED]]
    assert send(1, 2, 3, 4) == [4]
    assert bus.requests == [["1", "2", "3", "4"], ["2", "4"], ["4"]]
    assert [wait for wait in waits if wait] == [0.4, 0.8]


def test_a_bus_that_accepts_nothing_is_left_to_be_repeated(bus):
    bus.answers = [[THROTTLED]] * 8
    with pytest.raises(TemporaryFailure, match=r"does not accept corrections \(ThrottlingException\)"):
        send(1)
    assert len(bus.requests) == 8


def test_what_the_bus_can_never_accept_ends_the_run_without_its_content(bus):
    bus.answers = [[{}, MALFORMED]]
    with pytest.raises(CorrectionRefused) as raised:
        send(1, 2)
    assert "hunter2" not in str(raised.value)
    assert len(bus.requests) == 1


def test_corrections_leave_room_for_live_events(bus, clock, waits):
    # GIVEN a rate limit of five corrections per second, WHEN thirty are published
    send(*range(30), rate=5)

    # THEN each request but the first waits for those before it
    assert waits == pytest.approx([0, 2, 2])


def test_time_that_was_spent_otherwise_is_not_waited_for(clock, waits):
    rate = RateLimit(5)
    rate.wait(10)
    waits.append(1.5)  # spent by the request itself
    rate.wait(10)
    assert waits == pytest.approx([0, 1.5, 0.5])
