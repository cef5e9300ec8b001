"""Hypothesis strategies of histories, by kind."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain
from typing import Literal, TypeVar

from hypothesis import strategies as st

from testbed.canvas.lake import UNREADABLE
from testbed.reconciliation.operations import (
    ANNOUNCED,
    SILENT,
    Announced,
    Arrives,
    Begins,
    Continues,
    Enrolled,
    Happens,
    History,
    Operation,
    Passes,
    Repeats,
    Silent,
    Spoils,
)

DEAD_LETTERED = timedelta(days=14)
"""Retention of the dead-letter queues: a message is redriven within this time."""

Durations = st.SearchStrategy[timedelta]
Delays = st.SearchStrategy[tuple[timedelta, ...]]
Operations = st.SearchStrategy[tuple[Operation, ...]]
DrawnT = TypeVar("DrawnT")

_AT_ONCE = timedelta(0)
_NUMBERS = st.integers(0, 6)


def one_of(*strategies: st.SearchStrategy[DrawnT]) -> st.SearchStrategy[DrawnT]:
    """Draw from each strategy equally often, unlike `hypothesis.strategies.one_of`, which flattens nested ones."""
    return st.sampled_from(range(len(strategies))).flatmap(lambda number: strategies[number])


def _between(unit: Literal["seconds", "minutes", "hours", "days"], least: int, most: int) -> Durations:
    return st.integers(least, most).map(lambda number: timedelta(**{unit: number}))


def _delays(*late: Durations) -> Delays:
    """Delivery delays: half of them none, the others drawn from `late`."""
    return one_of(st.just((_AT_ONCE,)), st.lists(one_of(st.just(_AT_ONCE), *late), min_size=1, max_size=3).map(tuple))


_PAUSES = one_of(
    _between("hours", 8, 30),
    _between("seconds", 1, 20),
    _between("minutes", 1, 50),
    _between("hours", 1, 8),
    _between("days", 1, 4),
)
_DELAYS = _delays(
    _between("seconds", 1, 5), _between("hours", 1, 36), _between("hours", 1, DEAD_LETTERED // timedelta(hours=1) - 1)
)
_RUNS = st.builds(
    Begins,
    full=st.sampled_from([False, False, False, True]),
    busy=st.sampled_from([True, True, False]),
    loaded=st.sampled_from([True, True, True, True, False]),
    lag=one_of(_between("minutes", 5, 55), _between("hours", 1, 3)),
    disorder=one_of(st.just(timedelta(0)), _between("hours", 1, 9)),
    stalled=st.sampled_from([False, False, False, True]),
    quiet=st.booleans(),
    steps=st.sampled_from([2, 2, 2, 1, 0]),
    delays=_DELAYS,
)

_IMPORTS: tuple[Announced | Silent, ...] = (
    "create import",
    "start import",
    "finish import",
    "start restore",
    "finish restore",
    "clean up import",
    "abort import",
    "abort all imports",
    "purge import",
)
_ENROLLMENTS = tuple(what for what in (*ANNOUNCED, *SILENT) if what not in _IMPORTS)
_ALWAYS_POSSIBLE: tuple[Announced | Silent, ...] = (
    "cross-list",
    "limit to section",
    "deactivate",
    "cross-list",
    "reactivate",
    "use",
    "delete by import",
)
"""Operations that change something in every state. Each sends other events or stamps other rows."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Parameters of the histories that aim at one class of errors.

    Attributes:
        what: changes in Canvas.
        pauses: times between the operations.
        delays: delivery delays of events.
        runs: parameters of the runs.
        more: other operations, beside changes, pauses and runs.
    """

    what: Sequence[Announced | Silent] = (*_ALWAYS_POSSIBLE, *_ENROLLMENTS)
    pauses: Durations = _PAUSES
    delays: Delays = _DELAYS
    runs: st.SearchStrategy[Begins] = _RUNS
    more: tuple[st.SearchStrategy[Operation], ...] = ()


ANYTHING = Kind()
STALLS = Kind(
    what=("limit to section", "deactivate", "reactivate", "conclude", "cross-list", "change section", "delete"),
    pauses=one_of(_between("hours", 10, 60), _between("minutes", 1, 50)),
    delays=_delays(_between("hours", 1, 80)),
    runs=_RUNS.map(lambda run: replace(run, loaded=True, steps=2)).flatmap(
        lambda run: st.sampled_from([True, True, False]).map(lambda stalled: replace(run, stalled=stalled))
    ),
)
"""Tables of Canvas Data 2 that get no rows for days, while their `at` advances."""
LOADS_OUT_OF_ORDER = Kind(
    what=("deactivate", "reactivate", "limit to section", "conclude", "cross-list", "change section", "use"),
    pauses=one_of(_between("minutes", 1, 50), _between("hours", 1, 9)),
    delays=_delays(_between("minutes", 1, 50)),
    runs=st.builds(
        Begins,
        busy=st.sampled_from([True, True, True, False]),
        lag=_between("minutes", 1, 20),
        disorder=_between("hours", 5, 9),
        delays=_delays(_between("minutes", 1, 50)),
    ),
)
"""Rows that are loaded after newer ones."""
LATE_CORRECTIONS = Kind(
    what=("delete by import", "cross-list", "cross-list", "merge users", "conclude course", "delete course", "enroll"),
    pauses=one_of(_between("hours", 1, 3), _between("hours", 8, 20)),
    runs=st.builds(
        Begins,
        full=st.booleans(),
        busy=st.sampled_from([True, True, True, False]),
        lag=_between("minutes", 1, 20),
        delays=_delays(_between("hours", 2, 40)),
    ),
)
"""Several silent changes of one row, and corrections that arrive out of order."""
REDRIVES = Kind(
    what=("limit to section", "cross-list", "deactivate", "reactivate", "cross-list", "conclude course", "use"),
    pauses=one_of(_between("hours", 1, 9), _between("hours", 8, 30)),
    delays=st.lists(
        one_of(_between("hours", 10 * 24, DEAD_LETTERED // timedelta(hours=1) - 1), st.just(_AT_ONCE)),
        min_size=1,
        max_size=3,
    ).map(tuple),
)
"""Dead-lettered events that are redriven days after the row was corrected."""
CLOCKS = Kind(
    what=("delete by import", "deactivate", "reactivate", "limit to section", "merge users", "delete section"),
    pauses=_between("seconds", 1, 3),
    delays=_delays(_between("seconds", 1, 3)),
    runs=st.builds(Begins, lag=_between("seconds", 0, 4), delays=_delays(_between("seconds", 1, 9))),
)
"""Servers with clock skew, and changes within seconds."""
IMPORTS = Kind(what=_IMPORTS)
"""Changes of SIS imports."""
UNREADABLE_ROWS = Kind(
    more=(
        st.builds(
            Spoils,
            table=st.sampled_from(["enrollments", "enrollment_states"]),
            which=_NUMBERS,
            kind=st.sampled_from(["__dap_unspecified__", "__cd2_oversized_truncated__", *UNREADABLE]),
        ),
    )
)
"""Unreadable rows of Canvas Data 2."""
FLAWED_EVENTS = Kind(
    what=(*_ALWAYS_POSSIBLE, *_ENROLLMENTS, *_IMPORTS),
    more=(
        st.builds(
            Arrives,
            which=_NUMBERS,
            flaw=st.sampled_from(["no event_time", "naive event_time", "in the future", "no id"]),
        ),
    ),
)
"""Invalid events among valid ones."""

KINDS: Mapping[str, Kind] = {
    "anything": ANYTHING,
    "stalls": STALLS,
    "loads out of order": LOADS_OUT_OF_ORDER,
    "late corrections": LATE_CORRECTIONS,
    "redrives": REDRIVES,
    "clocks": CLOCKS,
    "imports": IMPORTS,
    "unreadable rows": UNREADABLE_ROWS,
    "flawed events": FLAWED_EVENTS,
}

_ENROLLED = st.builds(
    Enrolled,
    role=st.sampled_from(["StudentEnrollment", "ObserverEnrollment", "TaEnrollment", "StudentViewEnrollment"]),
    user=st.integers(0, 2),
    section=st.integers(0, 2),
    state=st.sampled_from(["active", "invited"]),
    observed=st.sampled_from([None, 0, 1]),
)


def histories(*kinds: Kind, announced: bool = False, enrolled: int = 2) -> st.SearchStrategy[History]:
    """Histories of these kinds, with up to `enrolled` enrollments, all with events where `announced` is set."""
    return one_of(
        *(
            st.builds(
                History,
                enrolled=st.lists(_ENROLLED, min_size=1, max_size=enrolled).map(tuple),
                unannounced=st.just(0) if announced else st.sampled_from([0, 0, 0, 0, 1, 2]),
                operations=operations(kind),
                first_number=st.integers(1, 900),
                fraction_digits=st.sampled_from([3, 0, 6]),
                sends_uuids=st.booleans(),
                seed=st.integers(0, 999),
            )
            for kind in kinds
        )
    )


def operations(kind: Kind, *, without: Collection[str] = ()) -> Operations:
    """Sequences of operations of one kind, runs included. `without` excludes changes."""
    change: st.SearchStrategy[Operation] = st.builds(
        Happens,
        what=st.sampled_from([what for what in kind.what if what not in without]),
        which=_NUMBERS,
        other=_NUMBERS,
        skew=st.sampled_from([timedelta(0), timedelta(0), timedelta(seconds=-2), timedelta(seconds=2)]),
        delays=kind.delays,
        twice=st.booleans(),
    )
    pause, run = kind.pauses.map(Passes), kind.runs
    scenes: list[Operations] = [
        st.tuples(change, pause),
        st.tuples(pause, run),
        st.tuples(change, run),
        st.tuples(change, pause, run),
        st.tuples(pause, run),
        st.tuples(change),
        st.tuples(run),
        st.tuples(st.builds(Continues, which=_NUMBERS, delays=kind.delays)),
        st.tuples(st.builds(Repeats, which=_NUMBERS, delays=kind.delays)),
        *map(st.tuples, kind.more),
    ]
    return st.lists(one_of(*scenes), min_size=5, max_size=12).map(lambda drawn: tuple(chain(*drawn)))
