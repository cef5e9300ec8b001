"""Any permutation, duplication and batching of a set of events leaves the same tables: those of the oracle."""

from itertools import permutations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ordering.histories import random_history, spell, spoil
from tests.ordering.oracle import tables_after, version_of
from tests.ordering.queues import Queues

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
@given(rng=randoms, size=st.integers(1, 30), copies=st.integers(1, 3))
def test_a_history_delivered_in_any_order_number_and_batches_ends_as_the_oracle_says(engine, rng, size, copies):
    # GIVEN a history of several enrollments and imports, some of its events invalid
    facts = spoil(random_history(rng, size), rng, share=0.1)

    # WHEN it is delivered in random batches, with duplicates, each time spelt anew
    engine.clear()
    sent = [fact for fact in facts for _ in range(rng.randint(1, copies))]
    Queues(rng, sent).drain(lambda batch: engine.deliver_batch([spell(fact, rng) for fact in batch]))

    # THEN the tables are the oracle's, to the last attribute, and every invalid event is dead-lettered
    assert engine.contents() == tables_after(facts)
    invalid = sum(fact.instant is None for fact in sent)
    assert len(engine.dead_letters.entries) == engine.counted["Rejected"] == invalid
    assert sum(engine.counted[outcome] for outcome in ("Applied", "Duplicate", "Stale")) == len(sent) - invalid


@settings(shared_engine, max_examples=5)
@given(rng=randoms, size=st.sampled_from([5, 4, 3, 2]))
def test_every_permutation_of_a_short_history_ends_the_same(engine, rng, size):
    # GIVEN up to five events of one enrollment and one import
    facts = random_history(rng, size, subjects=1, seconds=1)
    expected = tables_after(facts)

    # WHEN they are delivered in every order there is, and one of them once more at the end
    for order in permutations(facts):
        engine.clear()
        for batch in cut((*order, order[0]), rng):
            engine.deliver_batch([spell(fact, rng) for fact in batch])

        # THEN the tables are always the same
        assert engine.contents() == expected


def cut(order, rng):
    """`order` in batches: neighbours of one event share one, or do not."""
    batches = []
    for fact in order:
        if batches and batches[-1][-1].event_name == fact.event_name and rng.random() < 0.5:
            batches[-1].append(fact)
        else:
            batches.append([fact])
    return batches


@settings(shared_engine, max_examples=25)
@given(rng=randoms)
def test_an_outcome_says_what_became_of_the_event(engine, rng):
    # GIVEN events of one enrollment family in any order
    facts = [f for f in random_history(rng, 30, subjects=1) if f.event_name.startswith("enrollment_state")]

    # WHEN each is delivered, THEN its outcome is by comparison with the newest of those before
    engine.clear()
    newest = ""
    for fact in facts:
        version = version_of(fact)
        expected = "Applied" if version > newest else "Duplicate" if version == newest else "Stale"
        assert engine.deliver(spell(fact, rng)) == expected
        newest = max(newest, version)
