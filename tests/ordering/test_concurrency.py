"""Many writers at once: DynamoDB decides each condition, so the order of arrival still does not matter.

On DynamoDB Local only: moto is not made for threads, and fails with "dictionary changed size during iteration".
"""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydynox.pydynox_core import DynamoDBClient

from functions.state.table import Table
from tests.ordering.engines import dynamodb_local_engine
from tests.ordering.histories import IMPORT_EVENTS, random_history, spell
from tests.ordering.oracle import tables_after
from tests.unit.test_change import change_of

THREADS = 16


@pytest.mark.parametrize("seed", range(5))
def test_many_threads_that_apply_one_history_at_once_end_as_the_oracle_says(prod, dynamodb_local_endpoint, seed):
    # GIVEN a history of few subjects, so that the writers collide, each event three times
    rng = random.Random(seed)
    facts = random_history(rng, 60, subjects=1)
    changes = [(fact.event_name, change_of(spell(fact, rng))) for fact in facts * 3]
    rng.shuffle(changes)

    with dynamodb_local_engine(prod.state, dynamodb_local_endpoint) as engine:
        client = DynamoDBClient(endpoint_url=dynamodb_local_endpoint)
        tables = {"enrollments": Table(client, "enrollments"), "sis_batches": Table(client, "sis_batches")}

        # WHEN sixteen threads apply them at once
        def apply(named):
            event_name, change = named
            return tables["sis_batches" if event_name in IMPORT_EVENTS else "enrollments"].apply(change)

        with ThreadPoolExecutor(THREADS) as pool:
            outcomes = list(pool.map(apply, changes))

        # THEN every one was dealt with, and the tables are the oracle's
        assert len(outcomes) == len(changes)
        assert engine.contents() == tables_after(facts)
