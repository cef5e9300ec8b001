"""Which time a row of Canvas Data 2 has, so that it can be ordered with the events.

`at` and `meta.ts` are times of the data lake, an upper bound of what a row shows: never a version. `updated_at` alone
is not enough: deleting one course, concluding one, cross-listing and merges do not stamp it. Times are in the stored
form of `functions.canvas.fields`: text that sorts as time does.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from functions.canvas.fields import format_timestamp

_STILL_TABLE = timedelta(days=7)
"""The most by which the as-of time stays behind `at`, or a table in which nothing is stamped would never converge.

48 hours instead is unsafe after a long stall of the lake.
"""

_CLOCK_SKEW = timedelta(seconds=5)
"""The most by which the clocks of Canvas' servers differ."""

_RUNS = 999


def newest_stamp(stamps: Iterable[str], at: str, so_far: str | None = None) -> str | None:
    """The newest time that Canvas itself stamped, `so_far` included, and that is not after `at`."""
    return max((stamp for stamp in (*stamps, so_far) if stamp is not None and stamp <= at), default=None)


def as_of(at: str, newest: str | None, *, margin_hours: float) -> str:
    """A time such that every change that was announced at or before it is in the result.

    Args:
        at: until when the lake says that the result is complete.
        newest: the newest stamp of the whole result: the lake has provably loaded Canvas up to it.
        margin_hours: 10 tolerates a missed load, and changes that are loaded out of order.
    """
    end = datetime.fromisoformat(at)
    still = end - _STILL_TABLE
    if newest is None:
        return format_timestamp(still)
    loaded = min(end, datetime.fromisoformat(newest)) - timedelta(hours=margin_hours)
    return format_timestamp(max(loaded, still))


def version_time(as_of: str, updated_at: str | None, *, number: int) -> str:
    """The time of a row, which is the `event_time` of its correction.

    Canvas' own events have milliseconds. The microseconds below them are those of the run, so that no two runs within a
    week, and no run and an event, have equal times: the digest would decide by chance.

    Args:
        as_of: of the table's result.
        updated_at: when Canvas last stamped the row: it is not older than that.
        number: of the run. The same number gives the same time, so that a repeated run changes nothing.
    """
    instant = datetime.fromisoformat(as_of)
    if updated_at is not None:
        instant = max(instant, datetime.fromisoformat(updated_at).replace(microsecond=0) - _CLOCK_SKEW)
    milliseconds = instant.microsecond // 1000
    return format_timestamp(instant.replace(microsecond=milliseconds * 1000 + number % _RUNS + 1))
