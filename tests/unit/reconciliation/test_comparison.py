"""Only the attributes that count make a difference, however Canvas or its lake spells them."""

import pytest

from reconciliation.comparison import ITEM_ATTRIBUTES, Candidate, compare
from reconciliation.rows import Row

ENROLLMENT = {
    "course_id": "21070000000000565",
    "course_section_id": "21070000000004811",
    "user_id": "21070000000020064",
    "user_name": None,
    "type": "StudentEnrollment",
    "workflow_state": "active",
    "associated_user_id": None,
    "limit_privileges_to_course_section": False,
    "created_at": "2026-01-01T00:00:00.000000Z",
    "updated_at": "2026-02-01T00:00:00.500000Z",
    "course_uuid": None,
    "user_uuid": None,
}
STATE = {
    "state": "active",
    "state_started_at": "2026-01-01T00:00:00.900000Z",
    "state_valid_until": None,
    "state_is_current": True,
    "restricted_access": False,
    "access_is_current": True,
}
EVENT_TIME = "2026-02-01T00:00:00.600000Z"
BODY = {"enrollments": ENROLLMENT, "enrollment_states": STATE}


def row(table="enrollments", **attributes):
    return Row(
        table=table,
        enrollment_id="21070000000046825",
        body=BODY[table] | attributes,
        updated_at="2026-02-01T00:00:00.500000Z",
        stamps=(),
    )


def item(table="enrollments", **attributes):
    """The item that an event with the row's content made."""
    event_time = "enrollment_event_time" if table == "enrollments" else "state_event_time"
    stored = BODY[table] | {"enrollment_id": "21070000000046825", event_time: EVENT_TIME} | attributes
    return {name: value for name, value in stored.items() if value is not None}


def candidate(row, item, *, full=False) -> Candidate:
    """The candidate that a row becomes which differs from its item."""
    found = compare(row, item, full=full)
    assert found
    return found


@pytest.mark.parametrize("table", BODY)
def test_an_equal_row_leaves_no_trace(table):
    assert compare(row(table), item(table), full=False) is None


@pytest.mark.parametrize("table", BODY)
def test_an_item_that_our_table_does_not_have_is_a_candidate(table):
    assert candidate(row(table), None).differs
    assert candidate(row(table), None).item is None


def test_an_item_that_has_only_the_other_family_is_a_candidate_without_item():
    assert candidate(row("enrollment_states"), item()).item is None
    assert candidate(row(), item("enrollment_states")).item is None


COUNTED_OF_ENROLLMENTS = [
    *("course_id", "course_section_id", "user_id", "type", "workflow_state"),
    *("associated_user_id", "limit_privileges_to_course_section"),
]


@pytest.mark.parametrize("name", COUNTED_OF_ENROLLMENTS)
def test_each_attribute_of_an_enrollment_that_counts_makes_a_difference(name):
    differing = {"limit_privileges_to_course_section": True}.get(name, "21070000000000999")
    kind = {} if name == "type" else {"type": "ObserverEnrollment"}

    assert candidate(row(**kind), item(**(kind | {name: differing}))).differs
    assert candidate(row(**(kind | {name: differing})), item(**kind)).differs


@pytest.mark.parametrize("name", ["state", "state_started_at", "state_valid_until", "restricted_access"])
def test_each_attribute_of_a_state_that_counts_makes_a_difference(name):
    differing = {"restricted_access": True, "state": "completed"}.get(name, "2026-01-01T00:00:02.000000Z")

    assert candidate(row("enrollment_states"), item("enrollment_states", **{name: differing})).differs
    assert candidate(row("enrollment_states", **{name: differing}), item("enrollment_states")).differs


@pytest.mark.parametrize(
    ("table", "name", "differing"),
    [
        ("enrollments", "updated_at", "2026-03-01T00:00:00.000000Z"),
        ("enrollments", "created_at", "2025-03-01T00:00:00.000000Z"),
        ("enrollments", "user_name", "Ada Lovelace"),
        ("enrollments", "user_uuid", "uuid"),
        ("enrollments", "course_uuid", "uuid"),
        ("enrollment_states", "state_is_current", False),
        ("enrollment_states", "access_is_current", False),
    ],
)
def test_what_changes_without_an_event_makes_no_difference(table, name, differing):
    assert compare(row(table), item(table, **{name: differing}), full=False) is None


@pytest.mark.parametrize(
    ("table", "flag"),
    [("enrollments", "limit_privileges_to_course_section"), ("enrollment_states", "restricted_access")],
)
def test_null_means_false(table, flag):
    assert compare(row(table, **{flag: None}), item(table), full=False) is None
    assert compare(row(table), item(table, **{flag: None}), full=False) is None
    assert candidate(row(table, **{flag: True}), item(table, **{flag: None})).differs


@pytest.mark.parametrize(
    ("stored", "differs"),
    [
        ("2026-01-01T00:00:00.000000Z", False),  # cut off
        ("2026-01-01T00:00:01.000000Z", False),  # rounded up
        ("2026-01-01T00:00:01.899999Z", False),
        ("2026-01-01T00:00:01.900000Z", True),
        ("2025-12-31T23:59:59.900000Z", True),
        (None, True),
    ],
)
@pytest.mark.parametrize("name", ["state_started_at", "state_valid_until"])
def test_times_are_equal_when_less_than_a_second_apart(name, stored, differs):
    told = row("enrollment_states", **{name: "2026-01-01T00:00:00.900000Z"})
    found = compare(told, item("enrollment_states", **{name: stored}), full=False)

    assert (found is not None) is differs


def test_an_associated_user_counts_of_observers_only():
    assert compare(row(), item(associated_user_id="21070000000000562"), full=False) is None


def test_a_full_run_keeps_every_enrollment_since_names_are_known_later():
    assert not candidate(row(), item(), full=True).differs
    assert compare(row("enrollment_states"), item("enrollment_states"), full=True) is None


def test_a_candidate_survives_its_file():
    found = candidate(row(), item(workflow_state="deleted"))

    assert Candidate.from_json(found.to_json()) == found
    assert " " not in found.to_json()


def test_a_candidate_carries_of_the_item_what_the_verdict_and_the_correction_need():
    stored = item(workflow_state="deleted", user_name="Ada Lovelace", user_uuid="user-uuid", course_uuid="course-uuid")

    assert candidate(row(), stored).item == {
        "event_time": EVENT_TIME,
        "updated_at": ENROLLMENT["updated_at"],
        "user_id": ENROLLMENT["user_id"],
        "user_name": "Ada Lovelace",
        "user_uuid": "user-uuid",
        "course_id": ENROLLMENT["course_id"],
        "course_uuid": "course-uuid",
    }
    of_a_state = candidate(row("enrollment_states"), item("enrollment_states", state="completed"))
    assert of_a_state.item == {"event_time": EVENT_TIME}


def test_an_item_is_asked_for_all_that_a_comparison_reads_and_nothing_else():
    assert sorted(ITEM_ATTRIBUTES["enrollment_states"]) == sorted(
        ["enrollment_id", "state_event_time", "state", "state_started_at", "state_valid_until", "restricted_access"]
    )
    carried = ["updated_at", "user_name", "user_uuid", "course_uuid"]
    assert sorted(ITEM_ATTRIBUTES["enrollments"]) == sorted(
        ["enrollment_id", "enrollment_event_time", *COUNTED_OF_ENROLLMENTS, *carried]
    )
