"""A row of Canvas Data 2 becomes what an event of the same record would be, or is not comparable."""

import json

import pytest

from reconciliation.rows import CanvasTable, Row, read_row
from reconciliation.verdict import Verdict

SHARD = 2107
ENROLLMENT = {
    "user_id": 20064,
    "course_id": 565,
    "course_section_id": 4811,
    "type": "StudentEnrollment",
    "workflow_state": "active",
    "limit_privileges_to_course_section": False,
    "created_at": "2018-10-09T21:07:33.512Z",
    "updated_at": "2019-01-01T00:00:00.250Z",
    "last_activity_at": "2019-02-01T00:00:00Z",
    "role_id": 3,
}
STATE = {
    "state": "active",
    "state_started_at": "2019-10-05T13:38:00.900Z",
    "state_is_current": True,
    "access_is_current": True,
    "restricted_access": False,
    "updated_at": "2019-10-05T13:38:01Z",
}


def line(value: object, *, key: object = None, meta: object = None) -> bytes:
    record = {"key": {"id": 46825, "enrollment_id": 46825} if key is None else key, "value": value}
    return json.dumps(record | {"meta": {"ts": "2019-02-01T04:00:00Z"} if meta is None else meta}).encode()


def read(value: object, table: CanvasTable = "enrollments") -> Row:
    row = read_row(line(value), table, shard=SHARD)
    assert isinstance(row, Row)
    return row


def test_ids_become_global_and_values_take_their_stored_form():
    row = read(ENROLLMENT)

    assert row.enrollment_id == "21070000000046825"
    assert row.body["user_id"] == "21070000000020064"
    assert row.body["course_id"] == "21070000000000565"
    assert row.body["course_section_id"] == "21070000000004811"
    assert row.body["created_at"] == "2018-10-09T21:07:33.512000Z"
    assert row.body["user_name"] is None
    assert row.updated_at == "2019-01-01T00:00:00.250000Z"
    assert "role_id" not in row.body


def test_a_user_of_another_shard_has_a_global_id_already():
    assert read(ENROLLMENT | {"user_id": 21080000000000007}).body["user_id"] == "21080000000000007"


def test_the_stamps_of_an_enrollment_are_all_times_that_canvas_set():
    assert max(read(ENROLLMENT).stamps) == "2019-02-01T00:00:00.000000Z"
    assert len(read(ENROLLMENT).stamps) == 3


def test_a_state_takes_its_key_from_the_enrollment():
    row = read(STATE, "enrollment_states")

    assert row.enrollment_id == "21070000000046825"
    assert row.body == {
        "state": "active",
        "state_started_at": "2019-10-05T13:38:00.900000Z",
        "state_valid_until": None,
        "state_is_current": True,
        "restricted_access": False,
        "access_is_current": True,
    }
    assert row.stamps == (row.updated_at,) == ("2019-10-05T13:38:01.000000Z",)


def test_an_unreadable_stamp_that_no_attribute_needs_is_left_out():
    assert len(read(ENROLLMENT | {"last_activity_at": "yesterday"}).stamps) == 2


@pytest.mark.parametrize(("kind", "expected"), [("ObserverEnrollment", "21070000000000562"), ("TaEnrollment", None)])
def test_only_an_observer_has_an_associated_user(kind, expected):
    assert read(ENROLLMENT | {"type": kind, "associated_user_id": 562}).body["associated_user_id"] == expected


def test_null_and_missing_mean_the_same():
    assert read(ENROLLMENT | {"limit_privileges_to_course_section": None}) == read(
        {name: value for name, value in ENROLLMENT.items() if name != "limit_privileges_to_course_section"}
    )


@pytest.mark.parametrize("placeholder", ["__dap_unspecified__", "__cd2_oversized_truncated__"])
@pytest.mark.parametrize("name", ["type", "workflow_state", "created_at"])
def test_a_placeholder_where_a_value_is_needed_is_unknown(placeholder, name):
    assert read_row(line(ENROLLMENT | {name: placeholder}), "enrollments", shard=SHARD) is Verdict.UNKNOWN


def test_a_placeholder_in_a_column_that_is_not_ours_does_not_matter():
    assert read(ENROLLMENT | {"grade_publishing_status": "__dap_unspecified__"}) == read(ENROLLMENT)


def test_a_row_without_meta_is_read():
    without_meta = json.dumps({"key": {"id": 46825}, "value": ENROLLMENT}).encode()

    assert read_row(without_meta, "enrollments", shard=SHARD) == read(ENROLLMENT)


def test_the_enrollment_is_named_by_the_key_only():
    assert read(STATE | {"enrollment_id": "__dap_unspecified__"}, "enrollment_states") == read(
        STATE, "enrollment_states"
    )


def test_a_key_without_value_is_gone():
    deleted = json.dumps({"key": {"id": 1}, "meta": {"ts": "2019-02-01T04:00:00Z", "action": "D"}}).encode()

    assert read_row(deleted, "enrollments", shard=SHARD) is Verdict.GONE


def test_a_deletion_counts_even_with_the_last_value():
    assert read_row(line(ENROLLMENT, meta={"action": "D"}), "enrollments", shard=SHARD) is Verdict.GONE


@pytest.mark.parametrize(
    "unreadable",
    [
        b"",
        b"not JSON",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b"[" * 100_000,
        b'{"key": {"id": 1}, "value": {"course_id": ' + b"9" * 5000 + b"}}",
        line(None),
        line(None, key={}, meta={"action": "D"}),
        line(None, key={"id": "x"}, meta={"action": "D"}),
        line(None, key=[1], meta={"action": "D"}),
        line("value"),
        line([1]),
        line({}),
        line(ENROLLMENT, key={}),
        line(ENROLLMENT, key=[1]),
        line(ENROLLMENT, key={"id": None}),
        line(ENROLLMENT, key={"id": True}),
        line(ENROLLMENT, key={"id": -1}),
        line(ENROLLMENT, key={"id": 10**19}),
        line(ENROLLMENT | {"course_id": 5.5}),
        line(ENROLLMENT | {"course_id": None}),
        line(ENROLLMENT | {"course_id": {"id": 5}}),
        line(ENROLLMENT | {"course_id": float("nan")}),
        line(ENROLLMENT | {"type": 7}),
        line(ENROLLMENT | {"workflow_state": None}),
        line(ENROLLMENT | {"limit_privileges_to_course_section": "perhaps"}),
        line(ENROLLMENT | {"updated_at": "2019-13-01T00:00:00Z"}),
        line(ENROLLMENT | {"updated_at": "2019-01-01T00:00:00"}),
    ],
)
def test_what_cannot_be_read_is_unknown(unreadable):
    assert read_row(unreadable, "enrollments", shard=SHARD) is Verdict.UNKNOWN
