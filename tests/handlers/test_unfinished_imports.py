"""The hourly look at imports that do not come to an end."""

from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest

from functions.canvas.fields import format_timestamp
from tests.canvas import example
from tests.context import FunctionContext


def an_import(number, state, hours_ago):
    return example(
        "sis_batch_updated",
        metadata={"event_time": format_timestamp(datetime.now(UTC) - timedelta(hours=hours_ago))},
        body={"sis_batch_id": str(number), "workflow_state": state},
    )


def look():
    import_module("functions.unfinished_imports").handler({}, FunctionContext())


def test_unfinished_imports_are_counted_and_the_oldest_is_told(tables, deliver, output):
    # GIVEN two unfinished imports, and three that came to an end
    deliver(an_import(1, "importing", 30))
    deliver(an_import(2, "initializing", 2))
    for number, state in ((3, "imported"), (4, "failed_with_messages"), (5, "invented_later")):
        deliver(an_import(number, state, 40))
    output.lines()

    # WHEN the watcher looks
    look()
    lines = output.lines()

    # THEN it counts two, tells the age of the older, and logs which they are
    assert '"ImportsUnfinished":[2.0]' in "".join(lines).replace(" ", "")
    (log,) = [line for line in lines if "Imports are unfinished" in line]
    assert "21070000000000001/1" in log
    assert "21070000000000001/2" in log
    assert "21070000000000001/3" not in log


def test_an_import_that_ends_leaves_the_index(tables, deliver, output):
    # GIVEN an import that was unfinished for a day, and is imported now
    deliver(an_import(1, "importing", 30))
    output.lines()
    look()
    assert output.metrics()["OldestUnfinishedImportAge"] == pytest.approx(30 * 3600, abs=60)
    deliver(an_import(1, "imported", 1))
    output.lines()

    # WHEN the watcher looks again, THEN it finds nothing, and the item has no trace of it
    look()
    assert output.metrics() == {"ImportsUnfinished": 0, "OldestUnfinishedImportAge": 0}
    assert "unfinished_since" not in tables.item("sis_batches")


def test_a_late_unfinished_state_does_not_bring_a_finished_import_back(tables, deliver, output):
    deliver(an_import(1, "imported", 1))
    deliver(an_import(1, "importing", 2))
    output.lines()
    look()
    assert output.metrics()["ImportsUnfinished"] == 0
