"""What may happen in a world, as data: a history is a tuple of operations, and plays the same each time."""

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
"""What Canvas announces."""

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
"""What Canvas does not announce."""

ANNOUNCED: tuple[Announced, ...] = get_args(Announced)
SILENT: tuple[Silent, ...] = get_args(Silent)


@dataclass(frozen=True, kw_only=True)
class Happens:
    """Something happens in Canvas.

    Attributes:
        what: the operation.
        which: chooses the enrollment, user, section, course or import, of those that there are.
        other: chooses what it is changed to.
        skew: how far the clock of the server is ahead.
        delays: when the events are delivered, each with the next of these.
        twice: whether each event is delivered once more, with the delay after its own.
    """

    what: Announced | Silent
    which: int = 0
    other: int = 0
    skew: timedelta = timedelta(0)
    delays: tuple[timedelta, ...] = (timedelta(0),)
    twice: bool = False


@dataclass(frozen=True)
class Passes:
    """Time passes, and what is due is delivered."""

    time: timedelta


@dataclass(frozen=True, kw_only=True)
class Begins:
    """A run begins: the lake is loaded, and each table's result is what it holds now.

    Attributes:
        full: whether the run takes snapshots.
        busy: whether something else is announced and stamped in both tables, which the load just finds.
        loaded: whether there was a load since the run before.
        lag: how old the newest commit is that the load finds.
        disorder: how much older a row may stay.
        stalled: whether no table gets content while the lake's time goes on.
        quiet: whether the time of a table that gets no content stays behind.
        steps: how many steps follow at once: comparing, then publishing.
        delays: when the corrections are delivered, each with the next of these.
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
    """A run that is not published yet takes its next step."""

    which: int = 0
    delays: tuple[timedelta, ...] = (timedelta(0),)


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """A run takes its last step once more."""

    which: int = 0
    delays: tuple[timedelta, ...] = (timedelta(0),)


@dataclass(frozen=True, kw_only=True)
class Spoils:
    """From now on a row is served in a way that cannot be compared.

    Attributes:
        table: the table of Canvas Data 2.
        which: chooses the row.
        kind: of `testbed.canvas.lake.UNREADABLE`, or a placeholder instead of a state.
    """

    table: Literal["enrollments", "enrollment_states"] = "enrollments"
    which: int = 0
    kind: str = "__dap_unspecified__"


@dataclass(frozen=True, kw_only=True)
class Arrives:
    """An event arrives that our functions must refuse.

    Attributes:
        which: chooses the event that it is a bad copy of.
        flaw: what is wrong with it.
    """

    which: int = 0
    flaw: Literal["no event_time", "naive event_time", "in the future", "no id"] = "no event_time"


Operation: TypeAlias = Happens | Passes | Begins | Continues | Repeats | Spoils | Arrives


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """An enrollment of the beginning: its role and state, and which user, section and observed user it has."""

    role: str = "StudentEnrollment"
    user: int = 0
    section: int = 0
    state: str = "active"
    observed: int | None = None


@dataclass(frozen=True, kw_only=True)
class History:
    """How a world begins, and what happens in it.

    Attributes:
        enrolled: the enrollments of the beginning.
        unannounced: how many of them are older than the subscription to events.
        operations: what happens, in order.
        first_number: of the runs.
        fraction_digits: of the times that the lake shows.
        sends_uuids: whether events have UUIDs.
        seed: of what Canvas and its lake leave to chance.
    """

    enrolled: tuple[Enrolled, ...] = (Enrolled(),)
    unannounced: int = 0
    operations: tuple[Operation, ...] = ()
    first_number: int = 1
    fraction_digits: Literal[0, 3, 6] = 3
    sends_uuids: bool = True
    seed: int = 0
