"""Operations of a history, as data: a history is deterministic."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias, get_args

Announced = Literal[
    "accept",
    "reject",
    "change section",
    "assign observed",
    "limit to section",
    "conclude",
    "deactivate",
    "reactivate",
    "delete",
    "enroll",
    "recompute states",
    "create import",
    "start import",
    "finish import",
    "start restore",
    "finish restore",
]
"""Operations for which Canvas sends events."""

Silent = Literal[
    "use",
    "rename user",
    "delete by import",
    "delete section",
    "delete courses",
    "delete user",
    "delete course",
    "conclude course",
    "cross-list",
    "change dates",
    "merge users",
    "hard-delete",
    "clean up import",
    "abort import",
    "abort all imports",
    "purge import",
]
"""Operations for which Canvas sends no event."""

ANNOUNCED: tuple[Announced, ...] = get_args(Announced)
SILENT: tuple[Silent, ...] = get_args(Silent)


@dataclass(frozen=True, kw_only=True)
class Happens:
    """A change in Canvas.

    Attributes:
        what: the change.
        which: index of the enrollment, user, section, course or import, modulo their number.
        other: index of the new value, modulo the number of candidates.
        skew: how far the clock of the server is ahead.
        delays: delivery delays of the events, in a cycle.
        twice: whether each event is delivered a second time, with the next delay.
    """

    what: Announced | Silent
    which: int = 0
    other: int = 0
    skew: timedelta = timedelta(0)
    delays: tuple[timedelta, ...] = (timedelta(0),)
    twice: bool = False


@dataclass(frozen=True)
class Passes:
    """Time passes. Events that are due are delivered."""

    time: timedelta


@dataclass(frozen=True, kw_only=True)
class Begins:
    """A run begins: Canvas Data 2 is loaded and queried.

    Attributes:
        full: whether the run queries snapshots.
        busy: whether an unrelated change stamps both tables just early enough to be loaded.
        loaded: whether Canvas Data 2 was loaded since the run before.
        lag: age of the newest commit that is loaded.
        disorder: how much older the loaded version of a row may be.
        stalled: whether the tables of Canvas Data 2 get no rows, while their `at` advances.
        quiet: whether `at` of a table without new rows stays behind.
        steps: number of steps that follow immediately: compare, publish.
        delays: delivery delays of the corrections, in a cycle.
    """

    full: bool = False
    busy: bool = False
    loaded: bool = True
    lag: timedelta = timedelta(hours=1)
    disorder: timedelta = timedelta(0)
    stalled: bool = False
    quiet: bool = False
    steps: int = 2
    delays: tuple[timedelta, ...] = (timedelta(0),)


@dataclass(frozen=True, kw_only=True)
class Continues:
    """An unpublished run takes its next step."""

    which: int = 0
    delays: tuple[timedelta, ...] = (timedelta(0),)


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """A run repeats its last step."""

    which: int = 0
    delays: tuple[timedelta, ...] = (timedelta(0),)


@dataclass(frozen=True, kw_only=True)
class Spoils:
    """A row of Canvas Data 2 becomes unreadable for all later runs.

    Attributes:
        table: the table of Canvas Data 2.
        which: index of the row, modulo their number.
        kind: key of `testbed.canvas.lake.UNREADABLE`, or a placeholder instead of a state.
    """

    table: Literal["enrollments", "enrollment_states"] = "enrollments"
    which: int = 0
    kind: str = "__dap_unspecified__"


@dataclass(frozen=True, kw_only=True)
class Arrives:
    """An invalid event arrives, which the functions must reject.

    Attributes:
        which: index of the event that it is an altered copy of, modulo their number.
        flaw: what is invalid.
    """

    which: int = 0
    flaw: Literal["no event_time", "naive event_time", "in the future", "no id"] = "no event_time"


Operation: TypeAlias = Happens | Passes | Begins | Continues | Repeats | Spoils | Arrives


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """An initial enrollment: role, state, and indexes of user, section and observed user."""

    role: str = "StudentEnrollment"
    user: int = 0
    section: int = 0
    state: str = "active"
    observed: int | None = None


@dataclass(frozen=True, kw_only=True)
class History:
    """Initial state of a world, and the operations on it.

    Attributes:
        enrolled: initial enrollments.
        unannounced: number of those that are older than the subscription to events.
        operations: the operations, in order.
        first_number: number of the first run.
        fraction_digits: digits of fractions of seconds in timestamps of Canvas Data 2.
        sends_uuids: whether events have UUIDs.
        seed: seed of all random choices of the test double.
    """

    enrolled: tuple[Enrolled, ...] = (Enrolled(),)
    unannounced: int = 0
    operations: tuple[Operation, ...] = ()
    first_number: int = 1
    fraction_digits: Literal[0, 3, 6] = 3
    sends_uuids: bool = True
    seed: int = 0
