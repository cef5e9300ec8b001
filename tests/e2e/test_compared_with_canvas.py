"""Reconciliation with the test double of Canvas, on an emulator that enforces IAM."""

import json
from pathlib import Path

import pytest

from testbed.canvas.control import Control
from tests.local_stage import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def school(local_stage) -> Control:
    """Test double of Canvas of the local stage, after a backfill of the tables."""
    local_stage.ops("backfill")
    return Control.of(Path(local_stage["OPS_LOCAL"]) / "canvas.json")


def stored(local_stage, course):
    """Stored roster of a course: both states by enrollment id."""
    items = [local_stage.enrollment(member["enrollment_id"]) for member in course["roster"]]
    return {item["enrollment_id"]: (item["workflow_state"], item.get("state")) for item in items}


def canvas_roster(course):
    """Roster of a course in Canvas: both states by enrollment id."""
    return {member["enrollment_id"]: (member["workflow_state"], member["state"]) for member in course["roster"]}


def report(local_stage):
    """Report of the newest finished run."""
    states = local_stage.client("stepfunctions")
    (machine,) = (m["stateMachineArn"] for m in states.list_state_machines()["stateMachines"])
    newest = max(
        states.list_executions(stateMachineArn=machine)["executions"], key=lambda execution: execution["startDate"]
    )
    return json.loads(states.describe_execution(executionArn=newest["executionArn"])["output"])


def test_a_backfill_fills_the_tables_with_the_school(local_stage, school):
    course = school.course()

    assert stored(local_stage, course) == canvas_roster(course)
    assert {item["user_name"] for item in map(local_stage.enrollment, canvas_roster(course))} == {
        member["user_name"] for member in course["roster"]
    }


def test_a_silent_deletion_is_found_and_corrected(local_stage, school):
    # GIVEN a course that was deleted without an event
    course, announced = school.course(), school.summary()["events"]
    assert school.delete_course(course["course_id"]) > 0
    school.advance(12)
    assert school.summary()["events"] == announced
    assert stored(local_stage, course) == canvas_roster(course)

    # WHEN a dry run compares it
    printed = local_stage.ops("reconcile", "--dry-run", status=1)

    # THEN the difference is reported, and no item changes
    assert "missing or wrong" in printed
    assert stored(local_stage, course) == canvas_roster(course)

    # WHEN a run corrects it
    local_stage.ops("reconcile")

    # THEN both rosters are equal, and another run corrects nothing
    deleted = school.course(course["course_id"])
    eventually(lambda: stored(local_stage, deleted) == canvas_roster(deleted))
    before = local_stage.items()
    local_stage.ops("reconcile", "--full")
    assert report(local_stage)["corrections"] == 0
    assert local_stage.items() == before
    assert "drifted" in local_stage.ops("drift", "--last", "3")


def test_refused_credentials_end_the_run_with_a_remedy(local_stage, school):
    school.switch_on("credentials refused", times=None)
    try:
        local_stage.ops("reconcile", status=1)
    finally:
        school.clear_faults()

    assert "CredentialsRefused" in local_stage.ops("drift", "--last", "1")
