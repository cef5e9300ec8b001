"""The bad days that are simulated."""

from dataclasses import replace

from bench.simulation.limits import Limits
from bench.simulation.model import HOUR, Case

_RELEASE = Case(name="1 M events at once", events=1_000_000)
# An event for each of 4 million enrollments, and one for its state.
_BACKFILL = Case(name="first backfill, 300 a second", events=8_000_000, rate=300, origin="corrections")
_REPLAY = Case(name="replay of 4 M, one course", events=4_000_000, rate=10_000, origin="archive", one_course=True)
# The rate of a large university's import: docs/performance/scale.md.
_BAD_HOUR = Case(name="DynamoDB away for an hour", events=550 * HOUR, rate=550, bad_hour={"table": 0})

CASES = [
    _RELEASE,
    replace(_RELEASE, name="1 M at once, one course", one_course=True),
    _BACKFILL,
    replace(_BACKFILL, name="first backfill, 1,300 a second", rate=1_300),
    _REPLAY,
    replace(_REPLAY, name="replay without the SDK's retries", limits=Limits(attempts=1)),
    _BAD_HOUR,
    replace(_BAD_HOUR, name="20 PutEvents a second for an hour", bad_hour={"bus": 20}),
    replace(_RELEASE, name="1 M in ca-central-1", limits=Limits(put_events=600, invocations=1_100)),
    replace(_RELEASE, name="1 M in an unnamed region", limits=Limits(put_events=400, invocations=750)),
    replace(_RELEASE, name="1 M, Lambda with 10 environments", limits=Limits(environments=10)),
]
