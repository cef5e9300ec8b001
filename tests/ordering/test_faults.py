"""A DynamoDB that fails as the real one does: throttled, 500, 503, connections reset, acknowledgements lost, timeouts.

microburst stands between the functions and DynamoDB Local, and speaks DynamoDB's own errors. Whatever a function
reports as failed is delivered again, as Lambda would, and after Lambda the redrive.
"""

import random

import pytest

from functions.state.table import WriteFailed
from tests.ordering.engines import Engine, dynamodb_local_engine, load_handlers
from tests.ordering.histories import random_history, spell
from tests.ordering.microburst import faults, microburst
from tests.ordering.oracle import tables_after, version_of

ONE_IN = 5


@pytest.fixture(scope="module")
def proxy(dynamodb_local_endpoint, tmp_path_factory):
    with microburst(dynamodb_local_endpoint, tmp_path_factory.mktemp("microburst"), one_in=ONE_IN) as proxy:
        yield proxy


@pytest.fixture
def faulty_engine(prod, dynamodb_local_endpoint, proxy):
    """Functions whose every request passes the proxy; the tests look past it."""
    with dynamodb_local_engine(prod.state, dynamodb_local_endpoint) as engine:
        yield Engine(engine.tables, load_handlers(proxy.endpoint))


def stored_version(engine, fact):
    """The version that the table holds for `fact`'s family."""
    enrollments, imports = engine.contents()
    if fact.event_name.startswith("sis"):
        return imports[fact.key]["version"]
    family = "state_version" if fact.event_name.startswith("enrollment_state") else "enrollment_version"
    return enrollments[fact.key][family]


def test_a_history_told_to_a_failing_dynamodb_ends_as_the_oracle_says(faulty_engine, proxy):
    # GIVEN a history, shuffled and each event three times
    rng = random.Random(20)
    facts = random_history(rng, 60)
    told = facts * 3
    rng.shuffle(told)

    # WHEN it is told, and whatever fails is told again later
    redelivered = 0
    while told:
        fact = told.pop(0)
        try:
            outcome = faulty_engine.deliver(spell(fact, rng))
        except WriteFailed:
            redelivered += 1
            told.insert(rng.randint(0, len(told)), fact)
            continue

        # THEN an outcome is true, and no failure is taken for one: only what is older than the table is stale
        stored, version = stored_version(faulty_engine, fact), version_of(fact)
        assert (stored > version) == (outcome == "Stale")

    # AND every fault was met, some events came again, and the tables are the oracle's
    assert proxy.fired().keys() == faults(ONE_IN).keys()
    assert redelivered > 0
    assert faulty_engine.contents() == tables_after(facts)
