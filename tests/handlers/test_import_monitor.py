"""The hourly measurement of imports that do not end."""

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


@pytest.fixture
def monitor(tables, output):
    """Run the import monitor alone: what others wrote before is not its output."""

    def run():
        output.lines()
        import_module("functions.handlers.import_monitor").handler({}, FunctionContext())

    return run


def test_unfinished_imports_are_counted_and_logged(deliver, monitor, output):
    # GIVEN two unfinished imports, and three that ended
    ended = [(3, "imported"), (4, "failed_with_messages"), (5, "invented_later")]
    deliver(
        an_import(1, "importing", 30),
        an_import(2, "initializing", 2),
        *(an_import(number, state, 40) for number, state in ended),
    )

    # WHEN the import monitor runs
    monitor()
    lines = output.lines()

    # THEN it counts two, and logs which they are
    assert '"ImportsUnfinished":[2.0]' in "".join(lines).replace(" ", "")
    (log,) = [line for line in lines if "Imports are unfinished" in line]
    assert "21070000000000001/1" in log
    assert "21070000000000001/2" in log
    assert "21070000000000001/3" not in log


def test_an_import_that_ends_leaves_the_index(tables, deliver, monitor, output):
    # GIVEN an import that was unfinished for 30 hours, and is imported now
    deliver(an_import(1, "importing", 30))
    monitor()
    assert output.metrics()["OldestUnfinishedImportAge"] == pytest.approx(30 * 3600, abs=60)
    deliver(an_import(1, "imported", 1))

    # WHEN the import monitor runs again, THEN it finds nothing, and the item has no trace of it
    monitor()
    assert output.metrics() == {"ImportsUnfinished": 0, "OldestUnfinishedImportAge": 0}
    assert "unfinished_since" not in tables.item("sis_batches")


def test_a_late_unfinished_state_does_not_bring_an_ended_import_back(deliver, monitor, output):
    deliver(an_import(1, "imported", 1))
    deliver(an_import(1, "importing", 2))
    monitor()
    assert output.metrics()["ImportsUnfinished"] == 0
