"""What holds of every history: Canvas, its late events, its lake and runs that overlap, fail and repeat.

The functions of the reconciliation are the real ones, and so are the functions that write the tables. Time is that of
the history.
"""

from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

import pytest

from reconciliation import as_of, verdict
from testbed.reconciliation import properties, world
from testbed.reconciliation.operations import Begins, Happens, History, Passes
from testbed.reconciliation.properties import Days
from testbed.reconciliation.world import SetBack, World
from tests.reconciliation.worlds import local_stage, moto_stage, prove

HOURS, DAYS = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(scope="module")
def local(prod, tmp_path_factory):
    """DynamoDB Local."""
    with local_stage(prod.data, tmp_path_factory.mktemp("dynamodb-local") / "log") as stage:
        yield stage


@pytest.fixture(scope="module", params=["dynamodb-local", "moto"])
def stage_and_share(request, prod):
    """Each engine in turn, and which share of the histories is played in it."""
    if request.param == "dynamodb-local":
        yield request.getfixturevalue("local"), 4
    else:
        with moto_stage(prod.data) as moto:
            yield moto, 1


@pytest.fixture
def proven(stage_and_share):
    """Let a property hold of some histories."""
    stage, share = stage_and_share
    return lambda proposition, *, examples: prove(proposition, stage, examples=examples * share)


def test_no_correction_replaces_what_counts_by_what_canvas_had_before(proven):
    worlds = proven(properties.NEVER_SET_BACK, examples=20)

    # And many of many did replace something, by what Canvas had later.
    assert len(worlds) <= 20 or sum(world.corrected for world in worlds) > len(worlds) // 20


def test_once_canvas_is_still_one_run_makes_the_tables_right_and_the_next_publishes_nothing(proven):
    proven(properties.ENDS_RIGHT, examples=15)


def test_the_counts_of_a_run_are_the_difference_between_its_rows_and_the_items_as_read(proven):
    proven(properties.COUNTS_ARE_THE_DIFFERENCE, examples=12)


def test_the_accepted_events_of_the_archive_replayed_into_empty_tables_give_the_same_tables(proven):
    proven(properties.REPLAY_GIVES_THE_SAME, examples=8)


def test_events_that_are_late_by_less_than_14_days_need_nothing_but_daily_runs(proven):
    proven(properties.DAILY_RUNS_SUFFICE, examples=8)


# Tests of the tests: each simpler rule is proven wrong by one history, which the real rule survives.

# A date passes, so that the state alone changes, and the lake has not loaded it.
STATE_CHANGES = (Happens(what="change dates", other=4), Happens(what="recompute states"))


@contextmanager
def simpler(module, name, function):
    with mock.patch.object(module, name, function):
        yield


def sets_an_item_back(history, stage):
    stage.clear()
    try:
        World(history, stage).play().drain()
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
    # A stamped change and its correction, which is late; an unstamped one and its correction, which is not.
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
    rule = verdict.version_time

    with simpler(verdict, "version_time", lambda as_of, updated_at, **_: rule(as_of, updated_at, number=1)):
        assert sets_an_item_back(history, local)
    assert not sets_an_item_back(history, local)


@pytest.mark.parametrize(("window", "suffices"), [(22 * DAYS, True), (13 * DAYS, False)])
def test_a_window_shorter_than_a_redrive_would_lose_rows(local, window, suffices):
    # An event of an earlier change is redriven when a later, silent one was long corrected.
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
