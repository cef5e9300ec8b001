"""Many writers at once: DynamoDB decides each condition, so the order of arrival still does not matter.

On DynamoDB Local only: moto serves one request at a time.
"""

import random

import pytest

from tests.ordering.histories import random_history
from tests.ordering.oracle import tables_after
from tests.ordering.workers import deliver_at_once


@pytest.mark.parametrize("seed", range(3))
def test_several_environments_that_apply_one_history_at_once_end_as_the_oracle_says(local_engine, seed):
    # GIVEN a history of few subjects, so that the writers collide, each event three times
    rng = random.Random(seed)
    facts = random_history(rng, 150, subjects=1)
    local_engine.clear()

    # WHEN four environments, each with a batch of its own, apply it at once
    totals = deliver_at_once(facts * 3, local_engine.endpoint, rng, workers=4, window=len(facts) * 3)

    # THEN every event has an outcome, and the tables are the oracle's
    assert totals.total() - totals["Retried"] == len(facts) * 3
    assert local_engine.contents() == tables_after(facts)
