"""The import monitor: imports that do not end are counted, and those that became stuck once."""

from datetime import UTC, datetime, timedelta
from importlib import import_module

from functions.canvas.fields import format_timestamp
from tests.canvas import example
from tests.context import FunctionContext

# The schedule's time; an import is stuck after 12 hours (tests/conftest.py).
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def an_import(number, state, ago):
    return example(
        "sis_batch_updated",
        metadata={"event_time": format_timestamp(NOW - ago)},
        body={"sis_batch_id": str(number), "workflow_state": state},
    )


def look(output, *, at=NOW):
    """What the import monitor counts at the schedule's time `at`."""
    output.lines()
    schedule = {"time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}
    import_module("functions.handlers.import_monitor").handler(schedule, FunctionContext())
    return output.metrics()


def test_unfinished_imports_are_counted_and_finished_or_unknown_ones_are_not(tables, deliver, output):
    # GIVEN two unfinished imports, and three in a state that may be an end
    deliver(an_import(1, "importing", timedelta(hours=30)))
    deliver(an_import(2, "initializing", timedelta(hours=2)))
    for number, state in ((3, "imported"), (4, "failed_with_messages"), (5, "invented_later")):
        deliver(an_import(number, state, timedelta(hours=40)))

    # WHEN the monitor runs, THEN it counts two
    assert look(output) == {"ImportsUnfinished": 2, "ImportsStuck": 0}


def test_an_import_is_counted_as_stuck_in_one_hour_only(tables, deliver, output):
    # GIVEN an import whose last event was twelve and a half hours ago
    deliver(an_import(1, "importing", timedelta(hours=12, minutes=30)))

    # WHEN the monitor runs in each of four hours, THEN it is stuck in one
    stuck = [look(output, at=NOW + timedelta(hours=hour))["ImportsStuck"] for hour in range(-1, 3)]
    assert stuck == [0, 1, 0, 0]


def test_the_hours_leave_no_gap_and_do_not_overlap(tables, deliver, output):
    # GIVEN imports that are stuck at the very edges of the hour before now
    for number, ago in enumerate(
        (timedelta(hours=12), timedelta(hours=13), timedelta(hours=13, microseconds=-1), timedelta(hours=12, minutes=1))
    ):
        deliver(an_import(number + 1, "importing", ago))

    # THEN each belongs to one run
    assert look(output)["ImportsStuck"] == 3
    assert look(output, at=NOW - timedelta(hours=1))["ImportsStuck"] == 1


def test_the_log_names_what_became_stuck(tables, deliver, output):
    deliver(an_import(1, "importing", timedelta(hours=12, minutes=30)))
    deliver(an_import(2, "importing", timedelta(hours=30)))
    output.lines()
    schedule = {"time": NOW.isoformat()}
    import_module("functions.handlers.import_monitor").handler(schedule, FunctionContext())
    (line,) = [line for line in output.lines() if "Imports are stuck" in line]
    assert "21070000000000001/1" in line
    assert "21070000000000001/2" not in line


def test_an_import_that_ends_leaves_the_index(tables, deliver, output):
    # GIVEN an import that was unfinished, and is imported now
    deliver(an_import(1, "importing", timedelta(hours=12, minutes=30)))
    deliver(an_import(1, "imported", timedelta(hours=1)))

    # THEN the monitor finds nothing, and the item has no trace of it, also when an old state arrives late
    deliver(an_import(1, "importing", timedelta(hours=14)))
    assert look(output) == {"ImportsUnfinished": 0, "ImportsStuck": 0}
    assert "unfinished_since" not in tables.item("sis_batches")
