"""Ids and timestamps, in all the ways Canvas writes them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from functions.canvas.fields import format_timestamp, parse_id, parse_timestamp


def refusal(convert, value):
    """The kind and the text of the error of `value`."""
    with pytest.raises(PydanticCustomError) as refused:
        convert(value)
    return refused.value.type, refused.value.message()


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("2018-10-09T21:07:33Z", "2018-10-09T21:07:33.000000Z"),
        ("2020-01-14T14:14:11.498Z", "2020-01-14T14:14:11.498000Z"),
        ("2024-06-28T19:36:16-07:00", "2024-06-29T02:36:16.000000Z"),
        ("2019-10-05 05:38:00 -0800", "2019-10-05T13:38:00.000000Z"),
        ("2019-10-05 13:38:00 UTC", "2019-10-05T13:38:00.000000Z"),
        ("2019-10-05 13:38:00.218999999 UTC", "2019-10-05T13:38:00.218999Z"),
    ],
)
def test_every_form_that_canvas_writes_is_stored_in_one(written, stored):
    assert parse_timestamp(written) == stored


@pytest.mark.parametrize("naive", ["2019-10-05T05:38:00", "2019-10-05 05:38:00.218"])
def test_a_time_without_an_offset_names_no_instant(naive):
    assert refusal(parse_timestamp, naive) == ("timestamp_naive", "has no UTC offset, so the time is ambiguous")


@pytest.mark.parametrize(
    "unreadable",
    [
        None,
        "",
        "yesterday",
        "2019-10-05",
        1570253880,
        "٢٠١٩-10-05T05:38:00Z",
        "2019-10-05T05:38:00Z\n",
    ],
)
def test_what_is_no_timestamp_is_refused(unreadable):
    expected = ("timestamp", "is not a timestamp (ISO 8601 date, time and offset)")
    assert refusal(parse_timestamp, unreadable) == expected


@pytest.mark.parametrize(
    "impossible",
    [
        "2019-13-05T05:38:00Z",
        "2019-10-05T25:38:00Z",
        "2019-10-05T25:38:00 UTC",
        "2019-10-05T05:38:00+99:00",
        "0001-01-01T00:00:00+10:00",
    ],
)
def test_a_time_that_there_is_not_is_refused(impossible):
    expected = ("timestamp", "is not a timestamp (no such date, time or offset)")
    assert refusal(parse_timestamp, impossible) == expected


@given(st.datetimes(timezones=st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))))
def test_the_stored_form_names_the_same_instant_and_has_a_fixed_width(instant):
    # GIVEN an instant that UTC can write, too
    try:
        utc = instant.astimezone(UTC)
    except OverflowError:
        return

    # WHEN it is stored and read again
    stored = format_timestamp(instant)

    # THEN it is the same, in 27 characters, and stays as it is
    assert datetime.fromisoformat(stored) == utc
    assert len(stored) == 27
    assert parse_timestamp(stored) == stored


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=2))
def test_stored_times_sort_as_text_as_they_do_in_time(instants):
    assert sorted(map(format_timestamp, instants)) == [format_timestamp(instant) for instant in sorted(instants)]


def test_an_id_is_stored_as_text():
    assert parse_id(21070000000046825) == "21070000000046825"


def test_what_is_no_id_is_refused():
    expected = ("canvas_id", "is not a Canvas id (a positive number of at most 19 digits)")
    assert refusal(parse_id, "2107~565") == expected


def test_a_day_in_the_year_9999_can_be_stored():
    assert format_timestamp(datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)) == "9999-12-31T23:59:59.999999Z"
