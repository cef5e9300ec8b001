"""Batches with failing messages: each message has its own outcome, independent of the others."""

import json

import pytest

from testbed.events import example, on_the_bus, without
from testbed.functions import DeadLetterQueue, Functions, load_handlers
from testbed.ordering.microburst import microburst

EVENT = "enrollment_updated"


def enrollment(number):
    """The documented event, for the enrollment with this number."""
    return example(EVENT, body={"enrollment_id": f"2107{number:014d}"})


def invalid(number):
    return without(enrollment(number), "metadata", "event_time")


def stored(engine):
    """Stored enrollments, as messages."""
    enrollments, _ = engine.contents()
    return [enrollment(int(key[4:])) for (key,) in sorted(enrollments)]


def test_a_batch_of_one_invalid_one_failing_and_eight_good_messages(local_engine, tmp_path):
    # GIVEN a DynamoDB that fails one request, the first write of one enrollment
    local_engine.clear()
    good, failing = [enrollment(number) for number in range(1, 9)], enrollment(9)
    denied = {
        "service": "dynamodb",
        "operation": "UpdateItem",
        "body": f"Key.enrollment_id.S == '{failing['body']['enrollment_id']}'",
        "times": 1,
        "error": {"code": "AccessDeniedException", "status": 400},
    }
    with microburst(local_engine.endpoint, tmp_path, denied) as proxy:
        functions = Functions(handlers=load_handlers(proxy.endpoint))

        # WHEN it is in a batch with an invalid message and eight valid ones
        outcomes = functions.deliver_batch([*good[:4], invalid(0), failing, *good[4:]])

        # THEN only the invalid one is dead-lettered, with its reason
        assert outcomes == [*["Done"] * 4, "Rejected", "Retried", *["Done"] * 4]
        (entry,) = functions.dead_letters.entries
        assert json.loads(entry["MessageBody"]) == on_the_bus(invalid(0), EVENT)
        assert {name: attribute["StringValue"] for name, attribute in entry["MessageAttributes"].items()} == {
            "error": "RejectedEvent",
            "reason": f"{EVENT}: metadata.event_time is missing, so the event cannot be ordered",
        }

        # AND only the failing one is reported for retry, and the eight are stored
        assert (functions.counted["Rejected"], functions.counted["Retried"]) == (1, 1)
        assert stored(local_engine) == good

        # AND the failing one is stored when it is delivered again
        assert functions.deliver_batch([failing]) == ["Done"]
        assert stored(local_engine) == [*good, failing]


@pytest.mark.parametrize(
    ("failure", "outcomes"),
    [
        ({"error": ConnectionError()}, ["Done", "Retried", "Done", "Retried", "Retried"]),
        ({"refused": {"0", "2"}}, ["Done", "Retried", "Done", "Rejected", "Retried"]),
    ],
    ids=["wholly", "for two entries"],
)
def test_where_dead_lettering_fails_the_rejected_messages_are_retried(engine, failure, outcomes):
    # GIVEN a dead-letter queue that fails
    engine.clear()
    engine.dead_letters = DeadLetterQueue(**failure)

    # WHEN three invalid messages are delivered between valid ones
    batch = [enrollment(1), invalid(1), enrollment(2), invalid(2), invalid(3)]
    assert engine.deliver_batch(batch) == outcomes

    # THEN the valid ones are stored, and only the invalid ones that were sent are counted as rejected
    assert stored(engine) == [batch[0], batch[2]]
    assert engine.counted["Retried"] == outcomes.count("Retried")
    assert engine.counted["Rejected"] == len(engine.dead_letters.entries) == outcomes.count("Rejected")

    # AND the others are rejected when the queue accepts them
    engine.dead_letters = DeadLetterQueue()
    again = [message for message, outcome in zip(batch, outcomes, strict=True) if outcome == "Retried"]
    assert set(engine.deliver_batch(again)) == {"Rejected"}
