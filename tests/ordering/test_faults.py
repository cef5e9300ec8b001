"""A DynamoDB that fails as the real one does: throttled, 500, 503, connections reset, acknowledgements lost, timeouts.

microburst is the proxy between the functions and DynamoDB Local. It speaks DynamoDB's own errors. Whatever a function
reports is delivered again, as SQS does.
"""

import random

from tests.ordering.engines import Functions, load_handlers
from tests.ordering.histories import random_history, spell
from tests.ordering.microburst import faults, microburst
from tests.ordering.oracle import tables_after, version_of
from tests.ordering.queues import MAX_BATCH, Queues


def stored_version(contents, fact):
    """The version that the tables hold for `fact`'s family, empty where they hold none."""
    enrollments, imports = contents
    if fact.event_name.startswith("sis"):
        return imports.get(fact.key, {}).get("version", "")
    family = "state_version" if fact.event_name.startswith("enrollment_state") else "enrollment_version"
    return enrollments.get(fact.key, {}).get(family, "")


def test_a_history_delivered_to_a_failing_dynamodb_ends_as_the_oracle_says(local_engine, tmp_path):
    # GIVEN a history, each event three times, and a DynamoDB that fails one request in ten
    rng = random.Random(20)
    facts = random_history(rng, 60)
    injected = faults(10, at_once=MAX_BATCH)
    with microburst(local_engine.endpoint, tmp_path, *injected.values()) as proxy:
        functions = Functions(handlers=load_handlers(proxy.endpoint))

        def deliver(batch):
            stale_before, before = functions.counted["Stale"], local_engine.contents()
            fates = functions.deliver_batch([spell(fact, rng) for fact in batch])
            after = local_engine.contents()

            # THEN an outcome is true, and no failure is taken for one: what is done is stored, or something newer is,
            # and only what is older than the table is stale
            done = [fact for fact, fate in zip(batch, fates, strict=True) if fate == "Done"]
            assert all(stored_version(after, fact) >= version_of(fact) for fact in done)
            older, older_now = (
                sum(stored_version(contents, fact) > version_of(fact) for fact in done) for contents in (before, after)
            )
            assert older <= functions.counted["Stale"] - stale_before <= older_now
            return fates

        # WHEN it is delivered in random batches, and whatever is reported again
        Queues(rng, facts * 3).drain(deliver)

        # AND every fault was injected, some events were delivered again, and the tables are the oracle's
        assert proxy.fired().keys() == injected.keys()
        assert functions.counted["Retried"] > 0
        assert local_engine.contents() == tables_after(facts)
