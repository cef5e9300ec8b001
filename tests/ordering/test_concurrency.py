"""Concurrent writers: the conditions of DynamoDB make the result independent of the order of arrival.

On DynamoDB Local only: moto handles one request at a time.
"""

import random

import pytest

from testbed.ordering.histories import random_history
from testbed.ordering.oracle import tables_after
from testbed.ordering.workers import deliver_at_once


@pytest.mark.parametrize("seed", range(3))
def test_concurrent_environments_end_with_the_tables_of_the_oracle(local_engine, seed):
    # GIVEN a history of few records, so that writes conflict, each event three times
    rng = random.Random(seed)
    facts = random_history(rng, 150, subjects=1)
    local_engine.clear()

    # WHEN four concurrent environments apply it
    totals = deliver_at_once(facts * 3, local_engine.endpoint, rng, workers=4, window=len(facts) * 3)

    # THEN every event has an outcome, and the tables are those of the oracle
    assert totals.total() - totals["Retried"] == len(facts) * 3
    assert local_engine.contents() == tables_after(facts)
