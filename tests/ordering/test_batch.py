"""A batch in which some messages cannot succeed: each ends in its own way, and its neighbours are not disturbed."""

import json

import pytest

from tests.canvas import example, on_the_bus, without
from tests.ordering.engines import DeadLetterQueue, Functions, load_handlers
from tests.ordering.microburst import microburst

EVENT = "enrollment_updated"


def enrollment(number):
    """The documented event, of an enrollment of its own."""
    return example(EVENT, body={"enrollment_id": f"2107{number:014d}"})


def invalid(number):
    return without(enrollment(number), "metadata", "event_time")


def stored(engine):
    """The enrollments in the table, as messages."""
    enrollments, _ = engine.contents()
    return [enrollment(int(key[4:])) for (key,) in sorted(enrollments)]


def test_a_batch_of_one_invalid_one_failing_and_eight_good_messages(engine, tmp_path):
    # GIVEN a DynamoDB that refuses one request, the first write of one enrollment
    engine.clear()
    good, failing = [enrollment(number) for number in range(1, 9)], enrollment(9)
    denied = {
        "service": "dynamodb",
        "operation": "UpdateItem",
        "body": f"Key.enrollment_id.S == '{failing['body']['enrollment_id']}'",
        "times": 1,
        "error": {"code": "AccessDeniedException", "status": 400},
    }
    with microburst(engine.endpoint, tmp_path, denied) as proxy:
        functions = Functions(handlers=load_handlers(proxy.endpoint))

        # WHEN it is written in one batch with an invalid message and eight good ones
        fates = functions.deliver_batch([*good[:4], invalid(0), failing, *good[4:]])

        # THEN exactly the invalid one is dead-lettered, with its reason
        assert fates == [*["Done"] * 4, "Rejected", "Retried", *["Done"] * 4]
        (entry,) = functions.dead_letters.entries
        assert json.loads(entry["MessageBody"]) == on_the_bus(invalid(0), EVENT)
        assert {name: attribute["StringValue"] for name, attribute in entry["MessageAttributes"].items()} == {
            "error": "RejectedEvent",
            "reason": f"{EVENT}: metadata.event_time is missing, so the event cannot be ordered",
        }

        # AND exactly the failing one is reported, and the eight are stored
        assert (functions.counted["Rejected"], functions.counted["Retried"]) == (1, 1)
        assert stored(engine) == good

        # AND so is the failing one, once it is delivered again
        assert functions.deliver_batch([failing]) == ["Done"]
        assert stored(engine) == [*good, failing]


@pytest.mark.parametrize(
    ("failure", "fates"),
    [
        ({"error": ConnectionError()}, ["Done", "Retried", "Done", "Retried", "Retried"]),
        ({"refused": {"0", "2"}}, ["Done", "Retried", "Done", "Rejected", "Retried"]),
    ],
    ids=["wholly", "for two entries"],
)
def test_where_dead_lettering_fails_the_rejected_messages_are_retried(engine, failure, fates):
    # GIVEN a dead-letter queue that fails
    engine.clear()
    engine.dead_letters = DeadLetterQueue(**failure)

    # WHEN three invalid messages are delivered between good ones
    batch = [enrollment(1), invalid(1), enrollment(2), invalid(2), invalid(3)]
    assert engine.deliver_batch(batch) == fates

    # THEN the good ones are stored, and of the invalid ones only what was sent is counted as rejected
    assert stored(engine) == [batch[0], batch[2]]
    assert (engine.counted["Rejected"], engine.counted["Retried"]) == (fates.count("Rejected"), fates.count("Retried"))
    assert len(engine.dead_letters.entries) == fates.count("Rejected")

    # AND the rest is, once the queue accepts it
    engine.dead_letters = DeadLetterQueue()
    again = [message for message, fate in zip(batch, fates, strict=True) if fate == "Retried"]
    assert set(engine.deliver_batch(again)) == {"Rejected"}
