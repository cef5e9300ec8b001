"""DynamoDB faults: throttling, 500, 503, reset connections, lost acknowledgements and timeouts.

The proxy microburst injects them between the functions and DynamoDB Local. Messages that a function reports for retry
are delivered again, as by SQS.
"""

import random

from testbed.functions import Functions, load_handlers
from testbed.ordering.histories import random_history, spell
from testbed.ordering.microburst import faults, microburst
from testbed.ordering.oracle import tables_after, version_of
from testbed.ordering.queues import MAX_BATCH, Queues


def stored_version(contents, fact):
    """Stored version of the record family of `fact`, empty where none is stored."""
    enrollments, imports = contents
    if fact.event_name.startswith("sis"):
        return imports.get(fact.key, {}).get("version", "")
    family = "state_version" if fact.event_name.startswith("enrollment_state") else "enrollment_version"
    return enrollments.get(fact.key, {}).get(family, "")


def test_a_history_delivered_to_a_failing_dynamodb_ends_with_the_tables_of_the_oracle(local_engine, tmp_path):
    # GIVEN a history with each event three times, and a DynamoDB that fails one request in ten
    rng = random.Random(20)
    facts = random_history(rng, 40)
    injected = faults(10, at_once=MAX_BATCH)
    with microburst(local_engine.endpoint, tmp_path, *injected.values()) as proxy:
        functions = Functions(handlers=load_handlers(proxy.endpoint))

        def deliver(batch):
            stale_before, before = functions.counted["Stale"], local_engine.contents()
            outcomes = functions.deliver_batch([spell(fact, rng) for fact in batch])
            after = local_engine.contents()

            # THEN no failure is reported as an outcome: an event that is done, or a newer one, is stored, and only
            # an older one is stale
            done = [fact for fact, outcome in zip(batch, outcomes, strict=True) if outcome == "Done"]
            assert all(stored_version(after, fact) >= version_of(fact) for fact in done)
            older, older_now = (
                sum(stored_version(contents, fact) > version_of(fact) for fact in done) for contents in (before, after)
            )
            assert older <= functions.counted["Stale"] - stale_before <= older_now
            return outcomes

        # WHEN it is delivered in random batches, with retries
        Queues(rng, facts * 3).drain(deliver)

        # AND every fault was injected, some events were retried, and the tables are those of the oracle
        assert proxy.fired().keys() == injected.keys()
        assert functions.counted["Retried"] > 0
        assert local_engine.contents() == tables_after(facts)
