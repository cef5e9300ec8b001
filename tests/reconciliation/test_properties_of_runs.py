"""Properties of every history of Canvas, late events, loads of Canvas Data 2, and runs that overlap and repeat.

The pure functions of the reconciliation and the event functions are the real ones, with a simulated clock.
"""

from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

import pytest

from reconciliation import as_of, judgement
from testbed.engines import moto_engine
from testbed.reconciliation import properties, world
from testbed.reconciliation.deliveries import SetBack
from testbed.reconciliation.operations import Begins, Happens, History, Passes
from testbed.reconciliation.properties import Days
from testbed.reconciliation.stage import local_stage, prove
from testbed.reconciliation.world import World

HOURS, DAYS = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(scope="module")
def local(prod, tmp_path_factory):
    """DynamoDB Local, for the module."""
    with local_stage(prod.data, tmp_path_factory.mktemp("dynamodb-local") / "log") as stage:
        yield stage


@pytest.fixture(scope="module", params=["dynamodb-local", "moto"])
def stage_and_share(request, prod):
    """Each engine in turn, with the share of the histories to play on it."""
    if request.param == "dynamodb-local":
        yield request.getfixturevalue("local"), 1.0
    else:
        with moto_engine(prod.data) as moto:
            yield moto, 0.5


@pytest.fixture
def proven(stage_and_share):
    """Check a property on deterministic histories. `make soak` draws random ones."""
    stage, share = stage_and_share
    return lambda proposition, *, examples: prove(proposition, stage, examples=int(examples * share), derandomize=True)


def test_no_correction_replaces_compared_attributes_by_older_ones(proven):
    worlds = proven(properties.NEVER_SET_BACK, examples=20)

    # AND some corrections replaced compared attributes
    assert sum(world.deliveries.corrected for world in worlds) > 0


def test_after_all_events_one_run_makes_the_tables_equal_and_the_next_publishes_nothing(proven):
    proven(properties.ENDS_RIGHT, examples=15)


def test_the_counts_of_a_run_are_the_difference_between_its_rows_and_the_items_as_read(proven):
    proven(properties.COUNTS_ARE_THE_DIFFERENCE, examples=12)


def test_the_accepted_events_of_the_archive_replayed_into_empty_tables_give_the_same_tables(proven):
    proven(properties.REPLAY_GIVES_THE_SAME, examples=8)


def test_with_events_up_to_14_days_late_daily_runs_make_the_tables_equal(proven):
    proven(properties.DAILY_RUNS_SUFFICE, examples=8)


# Tests of the properties: each history refutes a simpler rule, and holds with the real one.

# Changes a state without its enrollment. Canvas Data 2 has not loaded the change.
STATE_CHANGES = (Happens(what="change dates", other=4), Happens(what="recompute states"))


@contextmanager
def simpler(module, name, function):
    with mock.patch.object(module, name, function):
        yield


def sets_an_item_back(history, stage):
    stage.clear()
    try:
        World(history, stage).play().deliveries.drain()
    except SetBack:
        return True
    return False


def test_the_time_of_the_lake_as_version_would_set_items_back(local):
    history = History(operations=(*STATE_CHANGES, Passes(HOURS / 2), Begins(lag=HOURS)))

    with simpler(as_of, "as_of", lambda at, *_, **__: at):
        assert sets_an_item_back(history, local)
    assert not sets_an_item_back(history, local)


def test_without_the_newest_stamp_a_stall_would_set_items_back(local):
    history = History(operations=(*STATE_CHANGES, Passes(12 * HOURS), Begins(stalled=True)))
    rule = as_of.as_of

    with simpler(as_of, "as_of", lambda at, _newest, *, margin_hours: rule(at, at, margin_hours=margin_hours)):
        assert sets_an_item_back(history, local)
    assert not sets_an_item_back(history, local)


def test_48_hours_instead_of_7_days_would_set_items_back_after_a_long_stall(local):
    history = History(operations=(*STATE_CHANGES, Passes(3 * DAYS), Begins(stalled=True)))

    with simpler(as_of, "_STILL_TABLE", 2 * DAYS):
        assert sets_an_item_back(history, local)
    assert not sets_an_item_back(history, local)


def test_without_margin_rows_that_are_loaded_out_of_order_would_set_items_back(local):
    history = History(operations=(*STATE_CHANGES, Begins(busy=True, lag=HOURS, disorder=9 * HOURS)), seed=0)
    rule = as_of.as_of

    with simpler(as_of, "as_of", lambda at, newest, **_: rule(at, newest, margin_hours=0)):
        assert sets_an_item_back(history, local)
    assert not sets_an_item_back(history, local)


def test_equal_versions_in_two_runs_would_set_items_back(local):
    # A stamped change with a late correction, and then an unstamped one with a correction in time.
    history = History(
        operations=(
            Passes(20 * HOURS),
            Happens(what="delete by import"),
            Begins(busy=True, delays=(9 * HOURS,)),
            Happens(what="cross-list", other=1),
            Passes(HOURS),
            Begins(busy=True),
            Passes(9 * HOURS),
        ),
        seed=0,
    )
    rule = as_of.version_time

    with simpler(judgement, "version_time", lambda as_of, updated_at, **_: rule(as_of, updated_at, number=1)):
        assert sets_an_item_back(history, local)
    assert not sets_an_item_back(history, local)


@pytest.mark.parametrize(("window", "suffices"), [(22 * DAYS, True), (13 * DAYS, False)])
def test_a_window_shorter_than_a_redrive_would_lose_rows(local, window, suffices):
    # An event is redriven after the correction of a later, silent change.
    days = Days(
        History(
            operations=(
                Passes(15 * HOURS),
                Happens(what="deactivate", delays=(13 * DAYS + 20 * HOURS,)),
                Passes(2 * HOURS),
                Happens(what="cross-list", other=1),
            )
        ),
        runs=(Begins(busy=True),),
    )
    local.clear()
    with simpler(world, "WINDOW", window):
        if suffices:
            properties.DAILY_RUNS_SUFFICE.holds(days, local)
        else:
            with pytest.raises(AssertionError, match="course_id"):
                properties.DAILY_RUNS_SUFFICE.holds(days, local)
