"""Any order, duplication and batching of a set of events results in the tables of the oracle."""

from itertools import permutations
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.ordering.histories import Fact, random_history, spell, spoil
from testbed.ordering.oracle import tables_after, version_of
from testbed.ordering.queues import Queues

# All examples share one engine, which each clears first.
shared_engine = settings(
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.large_base_example,
        HealthCheck.too_slow,
    ]
)
randoms = st.integers(0, 2**32).map(Random)


@settings(shared_engine, max_examples=25)
@given(rng=randoms, size=st.integers(1, 30), copies=st.integers(1, 3))
def test_a_history_in_any_order_number_and_batches_ends_with_the_tables_of_the_oracle(engine, rng, size, copies):
    # GIVEN a history of several enrollments and imports, with some invalid events
    facts = spoil(random_history(rng, size), rng, share=0.1)

    # WHEN it is delivered in random batches, with duplicates in other notations
    engine.clear()
    sent = [fact for fact in facts for _ in range(rng.randint(1, copies))]
    Queues(rng, sent).drain(lambda batch: engine.deliver_batch([spell(fact, rng) for fact in batch]))

    # THEN the tables are those of the oracle, and every invalid event is dead-lettered
    assert engine.contents() == tables_after(facts)
    invalid = sum(fact.instant is None for fact in sent)
    assert len(engine.dead_letters.entries) == engine.counted["Rejected"] == invalid
    assert sum(engine.counted[outcome] for outcome in ("Applied", "Duplicate", "Stale")) == len(sent) - invalid


@settings(shared_engine, max_examples=5)
@given(rng=randoms, size=st.sampled_from([4, 3, 2]))
def test_every_permutation_of_a_short_history_ends_the_same(engine, rng, size):
    # GIVEN up to four events of one enrollment and one import
    assert_every_permutation_ends_the_same(engine, random_history(rng, size, subjects=1, seconds=1), rng)


def test_every_permutation_of_five_events_ends_the_same(local_engine):
    rng = Random(1)
    assert_every_permutation_ends_the_same(local_engine, random_history(rng, 5, subjects=1, seconds=1), rng)


def assert_every_permutation_ends_the_same(engine, facts, rng):
    expected = tables_after(facts)

    # WHEN they are delivered in every order, and one of them again at the end
    for order in permutations(facts):
        engine.clear()
        for batch in cut((*order, order[0]), rng):
            engine.deliver_batch([spell(fact, rng) for fact in batch])

        # THEN the tables are the same
        assert engine.contents() == expected


def cut(order, rng):
    """Split `order` into batches at random, with one event type each."""
    batches: list[list[Fact]] = []
    for fact in order:
        if batches and batches[-1][-1].event_name == fact.event_name and rng.random() < 0.5:
            batches[-1].append(fact)
        else:
            batches.append([fact])
    return batches


@settings(shared_engine, max_examples=10)
@given(rng=randoms)
def test_an_outcome_follows_from_the_newest_event_before(engine, rng):
    # GIVEN events of one enrollment family in any order
    facts = [f for f in random_history(rng, 30, subjects=1) if f.event_name.startswith("enrollment_state")]

    # WHEN each is delivered, THEN its outcome follows from the newest one before
    engine.clear()
    newest = ""
    for fact in facts:
        version = version_of(fact)
        expected = "Applied" if version > newest else "Duplicate" if version == newest else "Stale"
        assert engine.deliver(spell(fact, rng)) == expected
        newest = max(newest, version)
