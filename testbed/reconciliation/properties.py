"""Properties of the reconciliation, each with a strategy of the histories for which it must hold."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import cycle
from random import Random
from typing import Generic, TypeVar

from hypothesis import strategies as st

from testbed.reconciliation.deliveries import BATCH, Message, Tables
from testbed.reconciliation.operations import Begins, History, Operation, Passes
from testbed.reconciliation.run import WINDOW, Run
from testbed.reconciliation.strategies import (
    ANYTHING,
    CLOCKS,
    DEAD_LETTERED,
    FLAWED_EVENTS,
    IMPORTS,
    LATE_CORRECTIONS,
    LOADS_OUT_OF_ORDER,
    REDRIVES,
    STALLS,
    UNREADABLE_ROWS,
    histories,
)
from testbed.reconciliation.world import World

DrawnT = TypeVar("DrawnT")

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Property(Generic[DrawnT]):
    """A property and its examples.

    Attributes:
        drawn: strategy of the examples.
        holds: plays an example on empty tables, and raises `AssertionError` where the property does not hold.
    """

    drawn: st.SearchStrategy[DrawnT]
    holds: Callable[[DrawnT, Tables], World]


@dataclass(frozen=True)
class Ending:
    """A history, a quiet period and a last run.

    Attributes:
        history: the history.
        still: length of the quiet period, after the delivery of all events.
        last: the run.
    """

    history: History
    still: timedelta
    last: Begins


@dataclass(frozen=True)
class Days:
    """A history without runs, and a cycle of daily runs."""

    history: History
    runs: tuple[Begins, ...]


_READABLE = (ANYTHING, STALLS, LOADS_OUT_OF_ORDER, LATE_CORRECTIONS, REDRIVES, CLOCKS, IMPORTS)


def _is_never_set_back(history: History, tables: Tables) -> World:
    world = World(history, tables).play()
    world.deliveries.drain()
    _assert_no_contradiction(world)
    return world


def _assert_no_contradiction(world: World) -> None:
    assert not world.contradictions, "a result contradicts its as-of time, although no row lags by more than the margin"


NEVER_SET_BACK = Property(histories(*_READABLE, UNREADABLE_ROWS), _is_never_set_back)
"""No correction replaces compared attributes by older ones."""


def _ends_right(ending: Ending, tables: Tables) -> World:
    world = World(ending.history, tables).play()
    world.deliveries.drain()
    world.school.now += ending.still
    _run(world, ending.last)
    wrong = world.wrong(since=None if ending.last.full else world.school.now - WINDOW)
    assert not wrong, wrong
    assert _run(world, ending.last).corrections == 0, "a second run still publishes corrections"
    _assert_no_contradiction(world)
    return world


def _run(world: World, begins: Begins) -> Run:
    """Play a run to its end, and deliver its corrections."""
    run = world.begin(begins)
    world.step(run, begins.delays)
    world.step(run, begins.delays)
    world.deliveries.drain()
    return run


def _endings() -> st.SearchStrategy[Ending]:
    def last(still: timedelta, *, busy: bool) -> st.SearchStrategy[Ending]:
        one = st.builds(
            Begins,
            full=st.booleans(),
            busy=st.just(busy),
            lag=st.sampled_from([timedelta(hours=1), timedelta(minutes=10), timedelta(hours=3)]),
            disorder=st.sampled_from([timedelta(0), timedelta(hours=9)]),
            delays=st.just((timedelta(0),)) | st.just((timedelta(hours=30), timedelta(0))),
        )
        return st.builds(Ending, histories(*_READABLE), st.just(still), one)

    # The as-of time is the newest stamp minus the margin, or, without new stamps, a week before the load.
    return st.sampled_from([True, False]).flatmap(
        lambda busy: last(timedelta(hours=24) if busy else timedelta(days=7, hours=14), busy=busy)
    )


ENDS_RIGHT = Property(_endings(), _ends_right)
"""After all events are delivered, one run makes the tables equal to Canvas, and the next run publishes nothing."""


def _counts_are_the_difference(history: History, tables: Tables) -> World:
    world = World(history, tables).play()
    for run in world.runs:
        truths = {family: truth.verdicts() for family, truth in run.truths.items()} | {"import": run.import_truth}
        for family, counts in run.counts.items():
            found, expected = +counts, Counter(truths[family])
            assert found == expected, f"run {run.number}: {family}: {found} instead of {expected}"
    return world


COUNTS_ARE_THE_DIFFERENCE = Property(histories(*_READABLE, UNREADABLE_ROWS), _counts_are_the_difference)
"""The counts of a run are the verdicts that the oracle computes from the rows and items that the run has read."""


def _replay_gives_the_same(history: History, tables: Tables) -> World:
    world = World(history, tables).play()
    world.deliveries.drain()
    before, accepted = world.deliveries.contents(), list(world.deliveries.archive)
    tables.clear()
    Random(history.seed).shuffle(accepted)
    with tables.at_the_time_of(lambda: world.school.now):
        for batch in in_batches(accepted):
            assert set(tables.deliver_batch(batch)) == {"Done"}, "an accepted message is rejected in the replay"
    assert tables.contents() == before, "the replayed tables differ"
    return world


def in_batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Group messages by event type, in batches of at most `BATCH`."""
    by_event: dict[str, list[Message]] = {}
    for message in messages:
        by_event.setdefault(message["metadata"]["event_name"], []).append(message)
    for some in by_event.values():
        for first in range(0, len(some), BATCH):
            yield some[first : first + BATCH]


REPLAY_GIVES_THE_SAME = Property(histories(FLAWED_EVENTS), _replay_gives_the_same)
"""A replay of all accepted events into empty tables, in any order, restores the same tables."""


def _daily_runs_suffice(days: Days, tables: Tables) -> World:
    world = World(days.history, tables)
    runs, next_run = cycle(days.runs), world.school.now + _DAY

    def live(until: datetime) -> None:
        nonlocal next_run
        while next_run <= until:
            world.play([Passes(next_run - world.school.now), next(runs)])
            next_run = max(next_run + _DAY, world.school.now)
        world.play([Passes(max(until - world.school.now, timedelta(0)))])

    for operation in days.history.operations:
        if isinstance(operation, Passes):
            live(world.school.now + operation.time)
        else:
            world.play([operation])
    # The last event arrives within 14 days, and one run follows.
    live(world.school.now + DEAD_LETTERED + 2 * _DAY)
    world.deliveries.drain()
    wrong = world.wrong()
    assert not wrong, wrong
    _assert_no_contradiction(world)
    return world


def _days() -> st.SearchStrategy[Days]:
    # A quiet table would keep its `at` for ever, and without a load there is no content.
    daily = ANYTHING.runs.map(lambda run: replace(run, full=False, steps=2, quiet=False))
    runs = st.lists(daily, min_size=1, max_size=5).map(lambda some: (replace(some[0], loaded=True), *some[1:]))
    return st.builds(Days, histories(REDRIVES, ANYTHING, LATE_CORRECTIONS, announced=True).map(_without_runs), runs)


def _without_runs(history: History) -> History:
    """Keep the changes of the first week. Rows of the first day leave the window before the end, others do not."""
    week, kept = timedelta(days=7), list[Operation]()
    for operation in history.operations:
        if isinstance(operation, Passes):
            week -= operation.time
        if week >= timedelta(0) and not isinstance(operation, Begins):
            kept.append(operation)
    return replace(history, operations=tuple(kept))


DAILY_RUNS_SUFFICE = Property(_days(), _daily_runs_suffice)
"""Where every event arrives within 14 days, daily runs over the last 22 days make the tables equal to Canvas."""
