"""Whole runs: Canvas' own clients, moto's AWS, and the event functions that apply what is published."""

from datetime import timedelta
from random import Random

import pytest

from reconciliation.aws import aws_client
from reconciliation.handlers import compare
from testbed.canvas.faults import Fault
from tests.reconciliation.machine import Machine

_SERVICES = ("s3", "dynamodb", "events", "sqs", "ssm", "secretsmanager")


def truth(school):
    """What the items should say of each enrollment, of the attributes that matter most."""
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


def said(cloud):
    """What the items say of the same."""
    return {
        item["enrollment_id"]: (item["course_id"], item["user_id"], item["workflow_state"], item["state"])
        for item in cloud.tables.items("enrollments")
    }


def load(canvas):
    """Everything into Canvas Data 2."""
    canvas.lake.lag = timedelta(0)
    for _ in range(2):
        canvas.lake.load()


@pytest.fixture
def announced(cloud, school):
    """Tables that have all that Canvas announced."""
    cloud.deliver(school.take_events())


@pytest.fixture
def deleted(announced, canvas, school):
    """A course that was deleted, which Canvas does not announce; how many enrollments are wrong."""
    course = next(school.enrollments.rows()).course_id
    living = [row for row in school.enrollments.rows() if row.course_id == course and row.workflow_state != "deleted"]
    school.delete_courses([course])
    load(canvas)
    return len(living)


def test_a_backfill_fills_empty_tables_with_what_canvas_says(cloud, canvas, machine, school):
    # WHEN a full run meets empty tables
    report = machine.run("backfill-1", full=True, expected=True)

    # THEN every enrollment is missing in both families, and is published once
    assert report["families"]["enrollment"]["missing"] == report["families"]["state"]["missing"] == 40
    assert report["corrections"] == cloud.apply()
    assert said(cloud) == truth(school)
    names = {school.global_id(user.id): user.name for user in school.users.rows()}
    assert all(item.get("user_name") == names[item["user_id"]] for item in cloud.tables.items("enrollments"))
    imports = {row.id: row.workflow_state for row in school.sis_imports.rows()}
    assert {item["sis_batch_id"]: item["workflow_state"] for item in cloud.tables.items("sis_batches")} == imports


def test_a_dry_run_says_what_is_wrong_and_a_run_mends_it(cloud, canvas, machine, school, deleted):
    # WHEN a dry run compares, THEN it counts what is wrong, and changes nothing
    before = cloud.contents()
    report = machine.run("dry-run-1", dry_run=True)
    assert report["families"]["enrollment"]["drifted"] == deleted > 0
    assert cloud.published() == []
    assert cloud.contents() == before

    # WHEN a run follows, THEN what it published makes the tables right
    again = machine.run("reconcile-1")
    assert again["families"] == report["families"]
    assert cloud.apply() == again["corrections"]
    assert said(cloud) == truth(school)

    # AND the next run finds nothing
    assert machine.run("reconcile-2")["corrections"] == 0


def test_only_a_run_that_corrects_is_recorded(cloud, canvas, machine, deleted, output):
    # Or the run that follows a dry run would count the same drift again.
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


def test_steps_that_happen_twice_leave_the_same_tables(cloud, canvas, machine, school, deleted, monkeypatch):
    monkeypatch.setattr(compare, "ROWS_PER_CHUNK", 8)
    machine.doubled = True
    machine.run(full=True)
    cloud.apply()
    assert said(cloud) == truth(school)


@pytest.fixture
def stops(monkeypatch):
    """Stop a step before, or after, one of its requests to AWS, three times each, at places that `seed` chooses."""
    registered, countdown = [], [None]

    class Stopped(Exception):
        pass

    def count(**_):
        if countdown[0] is not None:
            countdown[0] -= 1
            if countdown[0] == 0:
                raise Stopped

    def stops(machine, seed):
        random = Random(seed)
        invoke = machine.attempt

        def attempt(handler, payload, number):
            countdown[0] = random.randint(1, 25) if number < 3 else None
            try:
                return invoke(handler, payload, number)
            finally:
                countdown[0] = None

        monkeypatch.setattr(machine, "attempt", attempt)
        moment = "provide-client-params" if seed % 2 else "after-call"
        for service in _SERVICES:
            events = aws_client(service).meta.events
            events.register_first(f"{moment}.*.*", count)
            registered.append((events, f"{moment}.*.*"))

    yield stops
    for events, name in registered:
        events.unregister(name, count)


@pytest.mark.parametrize("seed", range(4))
def test_steps_that_are_stopped_anywhere_leave_the_same_tables(
    cloud, canvas, machine, school, deleted, monkeypatch, stops, seed
):
    # GIVEN steps that are stopped before or after their requests, and small files, so that there are many
    monkeypatch.setattr(compare, "ROWS_PER_CHUNK", 8)
    monkeypatch.setattr(compare, "KEYS_PER_REQUEST", 4)
    stops(machine, seed)
    report = machine.run(full=True)
    assert machine.retries > 5

    # THEN the counts are right, and so are the tables
    assert report["families"]["enrollment"]["rows"] == 40
    cloud.apply()
    assert said(cloud) == truth(school)


def test_a_run_that_begins_while_another_is_deciding_spoils_nothing(cloud, canvas, machine, school, deleted):
    # GIVEN a run that has compared, and then waits
    early = Machine()
    state = early.compare("reconcile-1")

    # WHEN Canvas changes, a second run is complete, and only then the first one decides and publishes
    row = next(row for row in school.enrollments.rows() if row.workflow_state == "active")
    school.now += timedelta(hours=2)
    school.conclude(row.id)
    cloud.deliver(school.take_events())
    machine.run("reconcile-2")
    cloud.apply()
    early.finish(state)
    cloud.apply()

    # THEN nothing is older than Canvas
    assert said(cloud) == truth(school)


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
    assert said(cloud) == truth(school)


def test_the_state_that_steps_hand_on_is_small_however_large_the_school(cloud, canvas, machine, monkeypatch):
    # Of 256 KiB that Step Functions takes, and 25,000 events of a history.
    monkeypatch.setattr(compare, "ROWS_PER_CHUNK", 8)
    machine.run(full=True, expected=True)
    assert max(map(len, machine.history)) < 2000
