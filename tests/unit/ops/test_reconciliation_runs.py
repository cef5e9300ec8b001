"""`ops backfill`, `ops reconcile` and `ops drift`, over scripted answers of Step Functions."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from infra.settings import Reconciliation
from ops.failure import OperatorError
from ops.reconciliation import Progress, Run, describe_run, follow_run, last_runs, start_run, waiting_corrections
from ops.run_screen import report_table
from tests.unit.ops.stages import ScriptedClient, made_up_stage

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:canvas-live-state-test-reconciliation"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:canvas-live-state-test-reconciliation:backfill-1"
NOW = datetime(2026, 11, 20, 12, 0, 5, tzinfo=UTC)
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
RECONCILIATION = Reconciliation(
    root_account_id="21070000000000001",
    canvas_url="https://canvas.example.edu",
    canvas_secret_arn=f"{SECRET}canvas",
    canvas_data_secret_arn=f"{SECRET}canvas-data",
)
REPORT = {
    "run": "backfill-1",
    "dry_run": False,
    "corrections": 1234,
    "oldest_drift_seconds": 90000.4,
    "families": {
        "enrollment": {"rows": 5000, "missing": 1200, "drifted": 34, "same": 3766},
        "state": {"rows": 5000, "same": 4999, "undecided": 1},
        "import": {"rows": 20, "same": 20},
    },
}


class StepFunctions(ScriptedClient):
    """Remembers what was started; answers with the descriptions in turn, the last one for ever."""

    def __init__(self, *descriptions, running=(), executions=(), map_runs=(), counts=None):
        self.started = []
        self._descriptions = list(descriptions)
        super().__init__(
            list_executions=lambda **request: {
                "executions": [{"name": name} for name in running]
                if "statusFilter" in request
                else [{"executionArn": arn} for arn in executions]
            },
            start_execution=self._start,
            describe_execution=self._describe,
            list_map_runs={"mapRuns": list(map_runs)},
            describe_map_run={"itemCounts": counts},
        )

    def _start(self, **request):
        self.started.append(request)
        return {"executionArn": EXECUTION}

    def _describe(self, **_request):
        return self._descriptions.pop(0) if len(self._descriptions) > 1 else self._descriptions[0]


def described(status, **parts):
    return {"name": "backfill-1", "status": status, "startDate": NOW} | parts


def stage_with(client, **clients):
    return made_up_stage(
        reconciliation=RECONCILIATION,
        outputs={"ReconciliationStateMachineArn": MACHINE},
        clients={"stepfunctions": client} | clients,
    )


@pytest.mark.parametrize(
    ("kind", "full", "dry_run", "expected"),
    [
        ("backfill", True, False, True),
        ("full", True, False, False),
        ("reconcile", False, False, False),
        ("dry-run", False, True, False),
        ("dry-run-full", True, True, False),
    ],
)
def test_a_run_is_started_as_its_kind_says(kind, full, dry_run, expected):
    client = StepFunctions(described("RUNNING"))

    assert start_run(stage_with(client), kind, force="reconcile-0", now=NOW) == EXECUTION

    (request,) = client.started
    assert request["stateMachineArn"] == MACHINE
    assert request["name"] == f"{kind}-20261120T120005"
    assert json.loads(request["input"]) == {
        "full": full,
        "dry_run": dry_run,
        "expected": expected,
        "force": "reconcile-0",
    }


def test_no_run_is_started_beside_another():
    client = StepFunctions(described("RUNNING"), running=["reconcile-7"])

    with pytest.raises(OperatorError, match=r"reconcile-7 has not ended.*ops drift --stage test"):
        start_run(stage_with(client), "reconcile", now=NOW)

    assert client.started == []


def test_a_stage_without_the_settings_says_where_they_are_described():
    with pytest.raises(OperatorError, match=r"no \[test\.reconciliation\].*deployment\.md#reconciliation"):
        start_run(made_up_stage(), "reconcile", now=NOW)


@pytest.mark.parametrize(("label", "step"), [("Compare", "comparing"), ("Publish", "publishing corrections")])
def test_progress_is_that_of_the_newest_map(label, step, monkeypatch):
    monkeypatch.setattr("ops.reconciliation._POLL_SECONDS", 0)
    older = {"mapRunArn": "arn:aws:states:us-east-1:1:mapRun:machine/Other:1", "startDate": NOW}
    newer = {"mapRunArn": f"arn:aws:states:us-east-1:1:mapRun:machine/{label}:2", "startDate": NOW + timedelta(hours=1)}
    client = StepFunctions(
        described("RUNNING"),
        described("SUCCEEDED"),
        map_runs=[newer, older],
        counts={"succeeded": 3, "total": 8},
    )

    assert list(follow_run(stage_with(client), EXECUTION)) == [Progress(step, 3, 8)]


def test_before_the_first_map_canvas_prepares_the_data(monkeypatch):
    monkeypatch.setattr("ops.reconciliation._POLL_SECONDS", 0)
    client = StepFunctions(described("RUNNING"), described("SUCCEEDED"))

    assert list(follow_run(stage_with(client), EXECUTION)) == [Progress("Canvas prepares the data")]


def test_a_run_that_succeeded_has_its_report():
    run = describe_run(stage_with(StepFunctions(described("SUCCEEDED", output=json.dumps(REPORT)))), EXECUTION)

    assert run.succeeded
    assert run.corrections == 1234
    assert run.families()["enrollment"]["drifted"] == 34


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (
            '{"errorMessage": "Canvas refused the token.", "errorType": "CredentialsRefused"}',
            "Canvas refused the token.",
        ),
        ("in plain words", "in plain words"),
        ('"a text"', '"a text"'),
        ("", ""),
    ],
)
def test_a_run_that_failed_says_why(cause, text):
    client = StepFunctions(described("FAILED", error="CredentialsRefused", cause=cause))

    run = describe_run(stage_with(client), EXECUTION)

    assert not run.succeeded
    assert (run.error, run.cause) == ("CredentialsRefused", text)


def test_the_last_runs_are_as_many_as_asked_for():
    client = StepFunctions(described("RUNNING"), executions=[EXECUTION] * 5)

    assert len(last_runs(stage_with(client), 3)) == 3


def test_the_queues_of_corrections_are_counted():
    sqs = ScriptedClient(
        get_queue_attributes={
            "Attributes": {"ApproximateNumberOfMessages": "5", "ApproximateNumberOfMessagesNotVisible": "2"}
        }
    )
    stage = stage_with(StepFunctions(described("RUNNING")), sqs=sqs)
    names = ("EnrollmentUpdatedQueue", "EnrollmentStateUpdatedQueue", "SisBatchUpdatedQueue")
    stage.__dict__["queues"] = {name: name for name in names}

    assert waiting_corrections(stage) == 21


def test_a_report_shows_each_family_and_verdict(capsys):
    from rich.console import Console

    run = Run(name="backfill-1", status="SUCCEEDED", started_at=NOW, report=REPORT)
    Console(width=120).print(report_table(run))

    printed = capsys.readouterr().out
    assert "Run backfill-1, 2026-11-20T12:00:05Z" in printed
    assert "1,234 corrected. The oldest difference is at most 1 day, 1:00:00 old." in printed
    (line,) = (line for line in printed.splitlines() if "enrollment" in line)
    assert [cell.strip() for cell in line.split("│")[1:-1]] == ["enrollment", "5,000", "1,200", "34", "3,766", *"0000"]


def test_a_dry_run_says_what_would_be_corrected(capsys):
    from rich.console import Console

    run = Run(name="dry-run-1", status="SUCCEEDED", started_at=NOW, report=REPORT | {"dry_run": True})
    Console(width=120).print(report_table(run))

    assert "1,234 would be corrected." in capsys.readouterr().out
