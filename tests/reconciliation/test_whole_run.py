"""Complete runs with the real clients, moto and the event functions."""

from datetime import timedelta

import pytest

from reconciliation.handlers import compare
from testbed.canvas.faults import Fault
from tests.reconciliation.machine import Machine


def truth(school):
    """Expected main attributes of each enrollment."""
    states = {state.enrollment_id: state.state for state in school.enrollment_states.rows()}
    return {
        school.global_id(row.id): (
            school.global_id(row.course_id),
            school.global_id(row.user_id),
            row.workflow_state,
            states[row.id],
        )
        for row in school.enrollments.rows()
    }


def stored(cloud):
    """Stored main attributes of each enrollment."""
    return {
        item["enrollment_id"]: (item["course_id"], item["user_id"], item["workflow_state"], item["state"])
        for item in cloud.tables.items("enrollments")
    }


def load(canvas):
    """Load all commits into Canvas Data 2."""
    canvas.lake.lag = timedelta(0)
    for _ in range(2):
        canvas.lake.load()


@pytest.fixture
def announced(cloud, school):
    """Tables with all events of Canvas."""
    cloud.deliver(school.take_events())


@pytest.fixture
def deleted(announced, canvas, school):
    """Number of enrollments of a course that was deleted, which sends no events."""
    course = next(school.enrollments.rows()).course_id
    living = [row for row in school.enrollments.rows() if row.course_id == course and row.workflow_state != "deleted"]
    school.delete_courses([course])
    load(canvas)
    return len(living)


def test_a_backfill_makes_empty_tables_equal_to_canvas(cloud, canvas, machine, school):
    # WHEN a full run compares empty tables
    report = machine.run("backfill-1", full=True, expected=True)

    # THEN every enrollment is missing in both families, and published once
    assert report["families"]["enrollment"]["missing"] == report["families"]["state"]["missing"] == 40
    assert report["corrections"] == cloud.apply()
    assert stored(cloud) == truth(school)
    names = {school.global_id(user.id): user.name for user in school.users.rows()}
    assert all(item.get("user_name") == names[item["user_id"]] for item in cloud.tables.items("enrollments"))
    imports = {row.id: row.workflow_state for row in school.sis_imports.rows()}
    assert {item["sis_batch_id"]: item["workflow_state"] for item in cloud.tables.items("sis_batches")} == imports


def test_a_dry_run_counts_the_differences_and_a_run_corrects_them(cloud, canvas, machine, school, deleted):
    # WHEN a dry run compares, THEN it counts the differences, and changes nothing
    before = cloud.contents()
    report = machine.run("dry-run-1", dry_run=True)
    assert report["families"]["enrollment"]["drifted"] == deleted > 0
    assert cloud.published() == []
    assert cloud.contents() == before

    # WHEN a run follows, THEN its corrections make the tables equal to Canvas
    again = machine.run("reconcile-1")
    assert again["families"] == report["families"]
    assert cloud.apply() == again["corrections"]
    assert stored(cloud) == truth(school)

    # AND the next run finds no difference
    assert machine.run("reconcile-2")["corrections"] == 0


def test_only_a_run_that_corrects_is_recorded(cloud, canvas, machine, deleted, output):
    # Otherwise the run after a dry run would count the same drift again.
    machine.run("dry-run-1", dry_run=True)
    assert not any("RowsCompared" in line for line in output.lines())
    machine.run("reconcile-1")
    assert any("RowsCompared" in line for line in output.lines())


def test_corrections_that_are_applied_twice_change_nothing(cloud, canvas, machine, deleted):
    machine.run()
    events = cloud.published()
    cloud.deliver(events)
    once = cloud.contents()
    cloud.deliver(events)
    assert cloud.contents() == once


def test_overlapping_runs_set_no_item_back(cloud, canvas, machine, school, deleted):
    # GIVEN a run that is delayed after its comparison
    early = Machine()
    state = early.compare("reconcile-1")

    # WHEN Canvas changes, a second run completes, and then the first one decides and publishes
    row = next(row for row in school.enrollments.rows() if row.workflow_state == "active")
    school.now += timedelta(hours=2)
    school.conclude(row.id)
    cloud.deliver(school.take_events())
    machine.run("reconcile-2")
    cloud.apply()
    early.finish(state)
    cloud.apply()

    # THEN the tables are equal to Canvas
    assert stored(cloud) == truth(school)


def test_faults_of_canvas_on_the_way_leave_the_same_tables(cloud, canvas, machine, school, deleted):
    for fault in (
        Fault("credentials refused", where="/dap/"),
        Fault("url expired", times=2),
        Fault("gzip truncated"),
        Fault("too many requests", times=3),
        Fault("server error", times=3, where="/api/"),
    ):
        canvas.faults.switch_on(fault)
    machine.run(full=True)
    cloud.apply()
    assert stored(cloud) == truth(school)


def test_the_state_that_steps_hand_on_is_small_however_large_the_school(cloud, canvas, machine, monkeypatch):
    # Limits of Step Functions: 256 KiB per state, and 25,000 events per history.
    monkeypatch.setattr(compare, "ROWS_PER_CHUNK", 8)
    machine.run(full=True, expected=True)
    assert max(map(len, machine.history)) < 2000
