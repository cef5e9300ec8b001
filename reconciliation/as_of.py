"""Times of the rows of Canvas Data 2, by which rows and events are ordered.

`at` and `meta.ts` are times of the data lake: upper bounds of the state that a row shows, so not versions. `updated_at`
alone is not enough: deleting or concluding a course, cross-listing and merges do not change it. All times are text in
the stored form of `functions.canvas.fields`, which sorts by time.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from functions.canvas.fields import format_timestamp

_STILL_TABLE = timedelta(days=7)
"""Greatest distance of the as-of time from `at`, so that a table without new stamps converges.

48 hours would be unsafe after a long stall of the lake.
"""

CLOCK_SKEW = timedelta(seconds=5)
"""Greatest difference between the clocks of two servers of Canvas."""

_RUN_MICROSECONDS = 999


def newest_stamp(stamps: Iterable[str], at: str, so_far: str | None = None) -> str | None:
    """The newest of `stamps` and `so_far` that is not after `at`, `None` where there is none."""
    return max((stamp for stamp in (*stamps, so_far) if stamp is not None and stamp <= at), default=None)


def as_of(at: str, newest: str | None, *, margin_hours: float) -> str:
    """The as-of time of a result: every change that was announced at or before it is in the result.

    Args:
        at: the time until which the lake reports the result as complete.
        newest: the newest stamp of the whole result, up to which the lake has loaded Canvas.
        margin_hours: the safety margin; 10 covers a missed load, and changes that are loaded out of order.
    """
    end = datetime.fromisoformat(at)
    still = end - _STILL_TABLE
    if newest is None:
        return format_timestamp(still)
    loaded = min(end, datetime.fromisoformat(newest)) - timedelta(hours=margin_hours)
    return format_timestamp(max(loaded, still))


def version_time(as_of: str, updated_at: str | None, *, number: int) -> str:
    """The time of a row, which is the `event_time` of its correction.

    Events of Canvas have whole milliseconds. The microseconds identify the run, so that two runs within a week, or a
    run and an event, never have equal times, which the digest would order by chance.

    Args:
        as_of: the as-of time of the result of the table.
        updated_at: when Canvas last stamped the row, which is at least as new.
        number: the number of the run. The same number gives the same time, so that a repeated run changes nothing.
    """
    instant = datetime.fromisoformat(as_of)
    if updated_at is not None:
        instant = max(instant, datetime.fromisoformat(updated_at).replace(microsecond=0) - CLOCK_SKEW)
    milliseconds = instant.microsecond // 1000
    return format_timestamp(instant.replace(microsecond=milliseconds * 1000 + number % _RUN_MICROSECONDS + 1))
