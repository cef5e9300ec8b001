"""The tables are compared with the double of Canvas, and corrected, on an emulator with IAM enforced."""

import json
from pathlib import Path

import pytest

from testbed.canvas.control import Control
from tests.local_stage import eventually

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def school(local_stage) -> Control:
    """The double of Canvas of the local stage, of which the tables hold everything."""
    local_stage.ops("backfill")
    return Control.of(Path(local_stage["OPS_LOCAL"]) / "canvas.json")


def stored(local_stage, course):
    """Our roster of a course: enrollment to its two states."""
    items = [local_stage.enrollment(member["enrollment_id"]) for member in course["roster"]]
    return {item["enrollment_id"]: (item["workflow_state"], item.get("state")) for item in items}


def told(course):
    """Canvas' roster of a course."""
    return {member["enrollment_id"]: (member["workflow_state"], member["state"]) for member in course["roster"]}


def report(local_stage):
    """The report of the newest run that has ended."""
    states = local_stage.client("stepfunctions")
    (machine,) = (m["stateMachineArn"] for m in states.list_state_machines()["stateMachines"])
    newest = max(
        states.list_executions(stateMachineArn=machine)["executions"], key=lambda execution: execution["startDate"]
    )
    return json.loads(states.describe_execution(executionArn=newest["executionArn"])["output"])


def test_a_backfill_fills_the_tables_with_the_school(local_stage, school):
    course = school.course()

    assert stored(local_stage, course) == told(course)
    assert {item["user_name"] for item in map(local_stage.enrollment, told(course))} == {
        member["user_name"] for member in course["roster"]
    }


def test_a_second_look_finds_nothing_and_publishes_nothing(local_stage, school):
    before = local_stage.items()

    local_stage.ops("reconcile", "--dry-run")
    local_stage.ops("reconcile")

    assert report(local_stage)["corrections"] == 0
    assert local_stage.items() == before


def test_a_deletion_that_nobody_announces_is_found_and_corrected(local_stage, school):
    # GIVEN a course that was deleted in bulk, without an event
    course, announced = school.course(), school.summary()["events"]
    assert school.delete_course(course["course_id"]) > 0
    school.advance(12)
    assert school.summary()["events"] == announced
    assert stored(local_stage, course) == told(course)

    # WHEN it is looked at only
    printed = local_stage.ops("reconcile", "--dry-run", status=1)

    # THEN the difference is reported, and nothing is changed
    assert "missing or wrong" in printed
    assert stored(local_stage, course) == told(course)

    # WHEN it is corrected
    local_stage.ops("reconcile")

    # THEN our roster is that of Canvas, and a further run finds nothing
    deleted = school.course(course["course_id"])
    eventually(lambda: stored(local_stage, deleted) == told(deleted))
    local_stage.ops("reconcile", "--dry-run")
    assert "drifted" in local_stage.ops("drift", "--last", "3")


def test_credentials_that_canvas_refuses_end_the_run_with_what_to_do(local_stage, school):
    school.switch_on("credentials refused", times=None)
    try:
        local_stage.ops("reconcile", status=1)
    finally:
        school.clear_faults()

    assert "CredentialsRefused" in local_stage.ops("drift", "--last", "1")
    local_stage.ops("reconcile")
