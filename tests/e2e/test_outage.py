"""The outage drill: DynamoDB refuses every write for a minute, and nobody does anything about it."""

import json
import random

import pytest

from tests.canvas import EVENT_NAMES
from tests.local_stage import eventually
from tests.ordering.histories import random_history, spell
from tests.ordering.oracle import tables_after

pytestmark = pytest.mark.slow

_SECONDS = 60
_EVENTS_PER_SECOND = 3


def test_after_a_minute_without_dynamodb_every_item_is_right(local_stage, tmp_path):
    # GIVEN events of both tables for a minute, shuffled, a third of them duplicates, and a stage without dead letters
    rng = random.Random(5)
    facts = random_history(rng, _SECONDS * _EVENTS_PER_SECOND * 2 // 3, subjects=8, seconds=30)
    deliveries = [spell(fact, rng) for fact in [*facts, *facts[::2]]]
    rng.shuffle(deliveries)
    assert {event_name(message) for message in deliveries} == set(EVENT_NAMES)
    file = tmp_path / "events.ndjson"
    file.write_text("".join(f"{json.dumps(message)}\n" for message in deliveries))
    eventually(local_stage.is_idle)
    purge_dead_letters(local_stage)
    before = local_stage.items()

    # WHEN they are published while no function may write
    with local_stage.updates_denied(*EVENT_NAMES):
        local_stage.ops("publish", str(file), "--rate", str(_EVENTS_PER_SECOND))
        assert local_stage.items() == before

    # THEN, once the functions may write again, nothing is dead-lettered and every item is right, without a command
    eventually(local_stage.is_idle)
    assert local_stage.dead_letters() == {}
    enrollments, imports = tables_after(facts)
    for (enrollment_id,), item in enrollments.items():
        assert local_stage.enrollment(enrollment_id) == item
    for (account_id, sis_batch_id), item in imports.items():
        key = {"account_id": account_id, "sis_batch_id": int(sis_batch_id)}
        assert local_stage.table("SIS_BATCHES_TABLE").get_item(Key=key)["Item"] == item


def event_name(message):
    return (message.get("metadata") or message["attributes"])["event_name"]


def purge_dead_letters(stage):
    for name, url in stage.queues.items():
        if name.endswith("DeadLetters"):
            stage.client("sqs").purge_queue(QueueUrl=url)
