"""Step poll: waits for all results, for at most six hours, and lists their parts."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciliation.failure import JobFailed, JobsTimedOut, TemporaryFailure
from testbed.canvas.faults import Fault
from tests.reconciliation.machine import keys, read_json


def test_a_run_is_complete_when_all_its_results_are(cloud, canvas, machine):
    # GIVEN results that are complete at the second poll
    canvas.dap.polls = 2
    state = machine.request("a", full=True)

    # WHEN they are polled, THEN the state is returned, and nothing is written before all are complete
    polled = machine.invoke("poll", state)
    assert polled == state | {"complete": False}
    assert list(keys("runs/a/")) == []
    assert machine.invoke("poll", polled) == state | {"complete": True}


def test_the_parts_of_both_tables_are_listed_and_users_are_not(cloud, canvas, machine, school):
    canvas.dap.rows_per_part = 25
    state = machine.request("a", full=True)
    machine.invoke("poll", state)
    jobs, parts = read_json("runs/a/jobs.json"), read_json("runs/a/parts.json")
    at = school.now.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    assert {table: (job["job_id"], job["at"], len(job["objects"])) for table, job in jobs.items()} == {
        "enrollments": (state["jobs"]["enrollments"], at, 2),
        "enrollment_states": (state["jobs"]["enrollment_states"], at, 2),
        "users": (state["jobs"]["users"], at, 1),
    }
    assert parts == [
        {"table": table, "part": number, "object": jobs[table]["objects"][number], "at": at}
        for table in ("enrollments", "enrollment_states")
        for number in range(2)
    ]


def test_a_job_that_fails_ends_the_run(cloud, canvas, machine):
    canvas.faults.switch_on(Fault("job fails", where="enrollment_states"))
    state = machine.request()
    with pytest.raises(JobFailed, match="table enrollment_states"):
        machine.invoke("poll", state)


def test_a_job_that_never_ends_ends_the_run_after_six_hours(cloud, canvas, machine):
    # GIVEN a job that never completes
    canvas.faults.switch_on(Fault("job never completes", where="enrollments"))
    state = machine.request()

    # WHEN it has run for almost six hours, THEN the step waits
    state["started_at"] = (datetime.now(UTC) - timedelta(hours=5, minutes=59)).isoformat()
    assert machine.invoke("poll", state)["complete"] is False

    # WHEN it has run for six hours, THEN the run fails with the name of the table
    state["started_at"] = (datetime.now(UTC) - timedelta(hours=6, minutes=1)).isoformat()
    with pytest.raises(JobsTimedOut, match="not made the result of enrollments in 6 hours"):
        machine.invoke("poll", state)


def test_a_result_that_is_complete_after_six_hours_is_used(cloud, canvas, machine):
    state = machine.request()
    state["started_at"] = (datetime.now(UTC) - timedelta(hours=7)).isoformat()
    assert machine.invoke("poll", state)["complete"] is True


def test_an_outage_is_left_to_the_state_machine(cloud, canvas, machine):
    state = machine.request()
    canvas.faults.switch_on(Fault("server error", times=None, where="/dap/job"))
    with pytest.raises(TemporaryFailure, match="poll: ServerError"):
        machine.invoke("poll", state)
    assert machine.retries == 7
