"""The events that the programs are given: one enrollment's, in order, twice, or too late."""

import itertools
import json
from pathlib import Path

from tests.canvas import example, on_the_bus

KINDS = ("in order", "duplicate", "stale")
"""What an event can be to an item: newer, the same, or older."""

_ids = itertools.count(1)


def first_event(path: Path) -> Path:
    """Write one event of an enrollment that nobody has heard of to `path`."""
    return _write(path, [_event(_new_enrollment(), minute=10)])


def prepared(path: Path, kind: str, *, warm_up: int, count: int) -> Path:
    """Write `warm_up` events of each kind and then `count` of `kind` to `path`, all of one new enrollment.

    The warm-up leaves an item at minute 10, so that what follows it is of its kind for every program.
    """
    enrollment = _new_enrollment()
    newest = _event(enrollment, minute=10, second=warm_up - 1)
    events = [_event(enrollment, minute=10, second=number) for number in range(warm_up)]
    events += [newest] * warm_up
    events += [_event(enrollment, minute=0, second=number) for number in range(warm_up)]
    events += {
        "in order": [_event(enrollment, minute=11, second=number) for number in range(count)],
        "duplicate": [newest] * count,
        "stale": [_event(enrollment, minute=0, second=number) for number in range(count)],
    }[kind]
    return _write(path, events)


def projected_changes(path: Path, count: int) -> Path:
    """Write events in order to `path`, each of which changes the state that both indexes of the table project."""
    enrollment = _new_enrollment()
    states = itertools.cycle(["active", "inactive"])
    return _write(
        path,
        [_event(enrollment, minute=10, second=number, workflow_state=next(states)) for number in range(count)],
    )


def import_events(path: Path, kind: str, count: int) -> Path:
    """The same of an SIS import: an event that leaves it at minute 10, and then `count` of `kind`."""
    sis_batch_id = str(next(_ids))

    def event(minute: int, second: int = 0) -> str:
        body = {"sis_batch_id": sis_batch_id, "workflow_state": "importing"}
        message = example("sis_batch_updated", metadata={"event_time": _time(minute, second)}, body=body)
        return json.dumps(on_the_bus(message, "sis_batch_updated"))

    minute = {"in order": 11, "duplicate": 10, "stale": 0}[kind]
    return _write(path, [event(10), *(event(minute, 0 if kind == "duplicate" else n) for n in range(count))])


def _event(enrollment_id: str, *, minute: int, second: int = 0, **body: str) -> str:
    message = example(
        "enrollment_updated",
        metadata={"event_time": _time(minute, second)},
        body={"enrollment_id": enrollment_id, **body},
    )
    return json.dumps(on_the_bus(message, "enrollment_updated"))


def _time(minute: int, second: int) -> str:
    """`second` may be more than 59."""
    return f"2025-01-01T{(minute + second // 60) // 60:02}:{(minute + second // 60) % 60:02}:{second % 60:02}Z"


def _new_enrollment() -> str:
    return f"2107{next(_ids):013}"


def _write(path: Path, events: list[str]) -> Path:
    path.write_text("".join(f"{event}\n" for event in events))
    return path
