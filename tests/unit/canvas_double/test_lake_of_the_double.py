"""The lake shows what was loaded: late, in part, out of order within a bound."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from testbed.canvas.building import school_of
from testbed.canvas.lake import UNREADABLE, Lake

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def school():
    return school_of(100, now=NOW)


def snapshot(lake, table="enrollments"):
    records = (json.loads(line) for line in lake.snapshot(table))
    return {next(iter(record["key"].values())): record for record in records}


def changes(lake, since, until=None, table="enrollments"):
    lines = lake.incremental(table, since, until or lake.at(table))
    return {record["key"]["id"]: record["meta"]["action"] for record in map(json.loads, lines)}


def an_active_enrollment(school):
    return next(row for row in school.enrollments.rows() if row.workflow_state == "active")


def test_a_snapshot_shows_every_row_with_local_ids_and_omits_nulls(school):
    # WHEN everything is loaded
    school.now += 2 * HOUR
    shown = snapshot(Lake(school))

    # THEN each row is there as the database has it
    assert shown.keys() == school.enrollments.history.keys()
    row = an_active_enrollment(school)
    record = shown[row.id]
    assert record["value"]["course_id"] == row.course_id
    assert record["value"]["updated_at"] == row.updated_at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
    assert "completed_at" not in record["value"]
    assert record["meta"].keys() == {"ts"}


def test_users_of_another_shard_have_no_row_and_are_global_in_columns():
    # GIVEN a school in which users of another shard are enrolled
    school = school_of(400, now=NOW)
    shown = snapshot(Lake(school), "users")
    strangers = school.users.history.keys() - shown.keys()

    # THEN their rows are on their shard, and their ids in ours are global
    assert {user_id // 10**13 for user_id in strangers} == {2108}
    assert strangers & {record["value"]["user_id"] for record in snapshot(Lake(school)).values()}


def test_content_is_as_old_as_the_lag_while_at_is_the_time_of_loading(school):
    # GIVEN a lake that was loaded
    lake = Lake(school, lag=3 * HOUR)
    row = an_active_enrollment(school)
    school.delete_course(row.course_id)

    # WHEN it is loaded two hours, and four hours later
    school.now += 2 * HOUR
    lake.load()
    early, at = snapshot(lake)[row.id], lake.at("enrollments")
    school.now += 2 * HOUR
    lake.load()

    # THEN only the second load has found the change
    assert early["value"]["workflow_state"] == "active"
    assert at > school.enrollments.history[row.id][-1].committed_at
    assert snapshot(lake)[row.id]["value"]["workflow_state"] == "deleted"


def test_an_incremental_result_has_what_was_loaded_since_and_before(school):
    # GIVEN two changes, each loaded
    lake = Lake(school, lag=timedelta(0))
    first, second = [row.id for row in school.enrollments.rows()][:2]
    times = [lake.at("enrollments")]
    for enrollment in (first, second):
        school.use([enrollment])
        school.now += HOUR
        lake.load()
        times.append(lake.at("enrollments"))

    # THEN chained queries return each once; one that was changed later is not in the earlier interval
    assert changes(lake, times[0], times[1]) == {first: "U"}
    assert changes(lake, times[1], times[2]) == {second: "U"}
    assert changes(lake, times[0]) == {first: "U", second: "U"}
    assert changes(lake, times[2]) == {}


def test_a_removed_row_is_a_key_without_a_value_and_missing_in_a_snapshot(school):
    lake = Lake(school, lag=timedelta(0))
    since, row = lake.at("enrollments"), an_active_enrollment(school)
    school.hard_delete([row.id])
    school.now += HOUR
    lake.load()
    (line,) = lake.incremental("enrollments", since, lake.at("enrollments"))
    assert json.loads(line).keys() == {"key", "meta"}
    assert changes(lake, since) == {row.id: "D"}
    assert row.id not in snapshot(lake)


def test_a_stalled_table_keeps_its_content_while_at_goes_on(school):
    # GIVEN a lake of which one table stalls
    lake = Lake(school, lag=timedelta(0))
    row, before = an_active_enrollment(school), lake.at("enrollments")
    lake.stalled.add("enrollments")
    school.delete_course(row.course_id)
    school.now += timedelta(days=3)
    lake.load()

    # THEN only the other tables show the change
    assert snapshot(lake)[row.id]["value"]["workflow_state"] == "active"
    assert snapshot(lake, "enrollment_states")[row.id]["value"]["state"] == "deleted"
    assert lake.at("enrollments") >= before + timedelta(days=3)


def test_at_of_a_quiet_table_may_stay_behind(school):
    lake = Lake(school)
    before = lake.at("users")
    lake.quiet_tables_keep_at = True
    school.now += 5 * HOUR
    lake.load()
    assert lake.at("users") == before
    assert lake.at("enrollments") > before


def test_rows_are_loaded_out_of_order_within_the_bound(school):
    # GIVEN every row changed within five hours, and loads that may miss six
    lake = Lake(school, lag=timedelta(0))
    lake.disorder = 6 * HOUR
    since = lake.at("enrollments")
    for enrollment in list(school.enrollments.history):
        school.use([enrollment])
        school.now += timedelta(minutes=3)
    lake.load()

    # THEN some are missing in the first load, not simply the last ones, and none after six hours
    loaded = changes(lake, since).keys()
    everything = school.enrollments.history.keys()
    assert loaded < everything
    assert max(loaded) > min(everything - loaded)
    school.now += 6 * HOUR
    lake.load()
    assert changes(lake, since).keys() == everything


@pytest.mark.parametrize(("digits", "length"), [(0, 20), (3, 24), (6, 27)])
def test_timestamps_carry_fractions_or_not(school, digits, length):
    lake = Lake(school)
    lake.fraction_digits = digits
    assert {len(record["value"]["updated_at"]) for record in snapshot(lake).values()} == {length}


def test_a_row_can_show_what_is_not_comparable(school):
    lake = Lake(school)
    row = an_active_enrollment(school)
    lake.mask("enrollments", row.id, workflow_state="__dap_unspecified__")
    assert snapshot(lake)[row.id]["value"]["workflow_state"] == "__dap_unspecified__"


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_row_can_be_unreadable(school, kind):
    lake = Lake(school)
    good = list(lake.snapshot("enrollments"))
    key = json.loads(good[3])["key"]["id"]
    lake.spoil("enrollments", key, kind)
    served = list(lake.snapshot("enrollments"))
    assert served[3] != good[3]
    assert b"\n" not in served[3]
    assert served[:3] + served[4:] == good[:3] + good[4:]
