"""Any permutation and any duplication of a set of events leaves the same tables: those of the oracle."""

from itertools import permutations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ordering.histories import random_history, spell
from tests.ordering.oracle import tables_after, version_of

# The engine is one for all examples: each begins by clearing it.
shared_engine = settings(
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.large_base_example,
        HealthCheck.too_slow,
    ]
)
randoms = st.randoms(use_true_random=False)


@settings(shared_engine, max_examples=60)
@given(rng=randoms, size=st.integers(1, 20), copies=st.integers(1, 3))
def test_a_history_told_in_any_order_and_number_ends_as_the_oracle_says(engine, rng, size, copies):
    # GIVEN a history of several enrollments and imports
    facts = random_history(rng, size)

    # WHEN it is told shuffled, with duplicates, each time spelt anew
    engine.clear()
    told = [fact for fact in facts for _ in range(rng.randint(1, copies))]
    rng.shuffle(told)
    for fact in told:
        engine.deliver(spell(fact, rng))

    # THEN the tables are the oracle's, to the last attribute
    assert engine.contents() == tables_after(facts)


@settings(shared_engine, max_examples=5)
@given(rng=randoms, size=st.sampled_from([5, 4, 3, 2]))
def test_every_permutation_of_a_short_history_ends_the_same(engine, rng, size):
    # GIVEN up to five events of one enrollment and one import
    facts = random_history(rng, size, subjects=1, seconds=1)
    expected = tables_after(facts)

    # WHEN they come in every order there is, and one of them once more at the end
    for order in permutations(facts):
        engine.clear()
        for fact in (*order, order[0]):
            engine.deliver(spell(fact, rng))

        # THEN the tables are always the same
        assert engine.contents() == expected


@settings(shared_engine, max_examples=25)
@given(rng=randoms)
def test_an_outcome_says_what_became_of_the_event(engine, rng):
    # GIVEN events of one enrollment family in any order
    facts = [f for f in random_history(rng, 30, subjects=1) if f.event_name.startswith("enrollment_state")]

    # WHEN each arrives, THEN its outcome is by comparison with the newest that came before
    engine.clear()
    newest = ""
    for fact in facts:
        version = version_of(fact)
        expected = "Applied" if version > newest else "Duplicate" if version == newest else "Stale"
        assert engine.deliver(spell(fact, rng)) == expected
        newest = max(newest, version)
