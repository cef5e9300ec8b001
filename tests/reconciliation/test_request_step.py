"""Step request: no overlapping runs, a unique run number, and the queries."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from functions.runtime import setting
from reconciliation.aws import aws_client
from reconciliation.failure import PredecessorStillRuns, SnapshotRequired, UnknownRun
from reconciliation.run_files import REPORT, RunFiles
from testbed.canvas.faults import Fault
from tests.unit.reconciliation.test_report import report


@pytest.fixture
def start(cloud):
    """Start an execution of the state machine."""
    return lambda name: aws_client("stepfunctions").start_execution(
        stateMachineArn=setting("STATE_MACHINE_ARN"), name=name
    )


@pytest.fixture
def queries(canvas, monkeypatch):
    """Queries to Canvas Data 2, by table."""
    asked: dict[str, list[datetime | None]] = {}
    new_job = canvas.dap._new_job

    def recorded(name, query, since):
        asked.setdefault(name, []).append(since)
        return new_job(name, query, since)

    monkeypatch.setattr(canvas.dap, "_new_job", recorded)
    return asked


def test_a_run_queries_the_changes_of_22_days(cloud, machine, queries):
    state = machine.request("reconcile-1")
    assert state == {
        "run": "reconcile-1",
        "number": 1,
        "started_at": state["started_at"],
        "full": False,
        "dry_run": False,
        "expected": False,
        "limit_of": None,
        "jobs": {"enrollments": state["jobs"]["enrollments"], "enrollment_states": state["jobs"]["enrollment_states"]},
    }
    since = datetime.fromisoformat(state["started_at"]).replace(microsecond=0) - timedelta(days=22)
    assert queries == {"enrollments": [since], "enrollment_states": [since]}


def test_a_full_run_queries_snapshots_and_users(cloud, machine, queries):
    state = machine.request("backfill-1", full=True, expected=True)
    assert (state["full"], state["expected"]) == (True, True)
    assert queries == {"enrollments": [None], "enrollment_states": [None], "users": [None]}


def test_an_input_without_options_is_an_ordinary_run(cloud, canvas, machine):
    state = machine.invoke(
        "request",
        {
            "run": "a",
            "state_machine": setting("STATE_MACHINE_ARN"),
            "started_at": "2026-11-22T08:56:18.755Z",
            "input": {},
        },
    )
    assert [state[option] for option in ("full", "dry_run", "expected", "limit_of")] == [False, False, False, None]


def test_each_run_has_a_number_of_its_own(cloud, canvas, machine):
    assert [machine.request(name)["number"] for name in ("a", "b", "a")] == [1, 2, 3]
    assert aws_client("ssm").get_parameter(Name=setting("RUN_NUMBER_PARAMETER"))["Parameter"]["Value"] == "a"


def test_a_step_that_is_repeated_is_given_the_same_jobs(cloud, canvas, machine):
    # GIVEN a lost answer, and a repetition of the step in the same execution
    once = machine.request("a")
    again = machine.invoke("request", json.loads(machine.history[0]))
    assert once["jobs"] == again["jobs"]


def test_a_run_whose_predecessor_still_runs_ends_and_names_it(cloud, canvas, machine, start):
    # GIVEN a run that started earlier
    arn = start("reconcile-1")["executionArn"]

    # WHEN another starts, THEN it sends no query
    with pytest.raises(PredecessorStillRuns) as raised:
        machine.request("reconcile-2")
    assert "Run reconcile-1 is still running." in str(raised.value)
    assert f"stop-execution --execution-arn {arn}" in str(raised.value)
    assert canvas.requests == []


def test_a_run_does_not_wait_for_itself_nor_for_what_started_later(cloud, canvas, machine, start):
    # GIVEN the execution of this run, a later one, and a finished one
    start("reconcile-2")
    ended = start("reconcile-1")["executionArn"]
    aws_client("stepfunctions").stop_execution(executionArn=ended)
    payload = {
        "run": "reconcile-2",
        "state_machine": setting("STATE_MACHINE_ARN"),
        "started_at": (datetime.now(UTC) - timedelta(seconds=20)).isoformat(),
        "input": {},
    }
    start("reconcile-3")
    assert machine.invoke("request", payload)["jobs"]


def test_of_two_runs_that_start_at_once_one_goes_on(cloud, canvas, machine, start):
    start("reconcile-1")
    start("reconcile-2")
    executions = aws_client("stepfunctions").list_executions(stateMachineArn=setting("STATE_MACHINE_ARN"))["executions"]
    results = []
    for execution in executions:
        payload = {"state_machine": setting("STATE_MACHINE_ARN"), "input": {}, "run": execution["name"]}
        try:
            machine.invoke("request", payload | {"started_at": execution["startDate"].isoformat()})
            results.append("goes on")
        except PredecessorStillRuns:
            results.append("ends")
    assert sorted(results) == ["ends", "goes on"]


def test_the_limit_of_a_forced_run_is_in_the_report_that_was_read(cloud, canvas, machine):
    RunFiles("reconcile-1").write_json(REPORT, replace(report(), corrections=12_345).to_dict())
    assert machine.request("reconcile-2", force="reconcile-1")["limit_of"] == 12_345


def test_a_run_that_has_no_report_cannot_be_forced(cloud, canvas, machine):
    with pytest.raises(UnknownRun, match=r"no report of a run reconcile-9: .* ops reconcile --stage test --dry-run"):
        machine.request("reconcile-2", force="reconcile-9")
    assert canvas.requests == []


def test_a_failure_of_canvas_data_ends_the_run_with_the_stage_in_its_command(cloud, canvas, machine):
    canvas.faults.switch_on(Fault("snapshot required"))
    with pytest.raises(SnapshotRequired, match=r"run ops backfill --stage test$"):
        machine.request()
