"""Which time a row has: never later than what it surely shows."""

import pytest

from reconciliation.as_of import as_of, newest_stamp, version_time

AT = "2026-11-20T12:00:00.000000Z"


def test_the_newest_stamp_is_not_after_the_end_of_the_result():
    stamps = ["2026-11-20T11:59:00.000000Z", AT, "2026-11-20T12:00:00.000001Z"]

    assert newest_stamp(stamps, AT) == AT
    assert newest_stamp(stamps[:1], AT) == stamps[0]
    assert newest_stamp(stamps[2:], AT) is None


def test_the_newest_stamp_of_earlier_parts_counts():
    earlier = "2026-11-02T00:00:00.000000Z"

    assert newest_stamp(["2026-11-01T00:00:00.000000Z"], AT, earlier) == earlier
    assert newest_stamp([], AT, earlier) == earlier
    assert newest_stamp([], AT, None) is None


@pytest.mark.parametrize(
    ("newest", "expected"),
    [
        (AT, "2026-11-20T02:00:00.000000Z"),
        ("2026-11-19T12:00:00.000000Z", "2026-11-19T02:00:00.000000Z"),
        # A lake that stands still for five days.
        ("2026-11-15T12:00:00.000000Z", "2026-11-15T02:00:00.000000Z"),
        # A table in which nothing was stamped for long, or ever.
        ("2026-11-13T21:59:59.000000Z", "2026-11-13T12:00:00.000000Z"),
        ("2020-01-01T00:00:00.000000Z", "2026-11-13T12:00:00.000000Z"),
        (None, "2026-11-13T12:00:00.000000Z"),
        # A clock that runs ahead does not move the time past the end of the result.
        ("2026-11-20T13:00:00.000000Z", "2026-11-20T02:00:00.000000Z"),
    ],
)
def test_the_as_of_time_is_ten_hours_before_what_the_lake_provably_loaded_and_at_most_seven_days_old(newest, expected):
    assert as_of(AT, newest, margin_hours=10) == expected


def test_the_margin_is_a_setting():
    assert as_of(AT, AT, margin_hours=1.5) == "2026-11-20T10:30:00.000000Z"


def test_a_row_is_as_new_as_the_result_or_as_its_own_stamp():
    stamped = "2026-11-20T08:00:07.900000Z"

    assert version_time("2026-11-20T02:00:00.000000Z", None, number=0) == "2026-11-20T02:00:00.000001Z"
    assert version_time("2026-11-20T02:00:00.000000Z", stamped, number=0) == "2026-11-20T08:00:02.000001Z"
    assert version_time("2026-11-20T09:00:00.000000Z", stamped, number=0) == "2026-11-20T09:00:00.000001Z"
    assert version_time("2026-11-20T09:00:00.998500Z", None, number=0) == "2026-11-20T09:00:00.998001Z"


def test_runs_have_times_of_their_own_that_no_event_of_canvas_has():
    times = {version_time("2026-11-20T02:00:00.123456Z", None, number=number) for number in range(999)}

    assert len(times) == 999
    assert version_time("2026-11-20T02:00:00.123456Z", None, number=999) == min(times)
    assert min(times) == "2026-11-20T02:00:00.123001Z"
    assert max(times) == "2026-11-20T02:00:00.123999Z"


def test_a_repeated_run_has_the_same_time():
    assert version_time(AT, None, number=12_345) == version_time(AT, None, number=12_345)
