"""The one screen: what is wrong is named with the command that helps, and nothing else is."""

import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest
from rich.console import Console

from canvas_live_state import SisImport
from ops import status
from ops.activity import Activity
from ops.stacks import Stack
from ops.status import status_of
from tests.unit.ops.sqs import StubbedSqs
from tests.unit.ops.stages import MadeUpStage, ScriptedClient, made_up_stage

NOW = datetime.now(UTC)


class Reader:
    def __init__(self, *imports):
        self._imports = list(imports)

    def unfinished_imports(self):
        return self._imports


def unfinished(number, hours):
    at = NOW - timedelta(hours=hours)
    return SisImport(
        account_id="21070000000000001",
        sis_batch_id=number,
        workflow_state="importing",
        event_time=at,
        timeline={"importing": at},
    )


@pytest.fixture
def stage(monkeypatch):
    """A healthy stage: an import has just begun, and an alarm of another stage is none of ours."""
    sqs = StubbedSqs()
    describe_alarms = Mock(return_value={"MetricAlarms": []})
    cloudwatch = ScriptedClient(describe_alarms=describe_alarms)
    stage = made_up_stage(clients={"sqs": sqs, "cloudwatch": cloudwatch}, stuck_import_hours=6)
    queues = {"IngestionDeadLetters": "IngestionDeadLetters", "IngestionQueue": "IngestionQueue"}
    vars(stage).update(queues=queues, reader=Reader(unfinished(1, hours=1)), describe_alarms=describe_alarms)
    monkeypatch.setattr(MadeUpStage, "stack", lambda _, part: Stack(f"stack-{part}", "CREATE_COMPLETE", {"a": "b"}))
    monkeypatch.setattr(status, "activity_of", lambda *_, **__: {"sis_batch_updated": Activity(Counter(Applied=3))})
    return stage


def test_a_healthy_stage_is_said_to_be_healthy(stage):
    found = status_of(stage)
    assert found.healthy
    assert found.verdict == "Healthy."
    (asked,) = stage.describe_alarms.call_args_list
    assert asked.kwargs["AlarmNamePrefix"] == "canvas-live-state-test-pipeline"


def test_everything_that_is_wrong_is_named_with_the_command_that_helps(stage, monkeypatch):
    # GIVEN a dead letter, a stuck import beside a young one, retries, an alarm, and a failed update
    stage.clients["sqs"].put("IngestionDeadLetters", "{}")
    vars(stage).update(reader=Reader(unfinished(1, hours=1), unfinished(7, hours=7)))
    alarm = {"AlarmName": "our-alarm", "AlarmDescription": "notify: why. Runbook: docs/operations.md"}
    stage.clients["cloudwatch"].describe_alarms = lambda **_: {"MetricAlarms": [alarm]}
    monkeypatch.setattr(status, "activity_of", lambda *_, **__: {"sis_batch_updated": Activity(Counter(Retried=2))})
    monkeypatch.setattr(
        MadeUpStage, "stack", lambda _, part: Stack(f"stack-{part}", "UPDATE_ROLLBACK_COMPLETE", {"a": "b"})
    )

    # WHEN an operator looks, THEN each is a reason, in whole lines
    found = status_of(stage)
    reasons = dict(enumerate(found.reasons))
    assert len(reasons) == 6
    assert all("failed and was rolled back" in reasons[number] for number in (0, 1))
    assert reasons[2].startswith("2 failed attempts in ten minutes")
    assert reasons[3] == "1 in IngestionDeadLetters: ops redrive --stage test --queue IngestionDeadLetters --dry-run"
    assert "import 21070000000000001/7 has had no event since" in reasons[4]
    assert reasons[4].endswith("ops close-import --stage test 21070000000000001 7 --as aborted")
    assert reasons[5].startswith("alarm our-alarm: notify: why")


def test_without_a_stack_only_the_stacks_are_shown(stage, monkeypatch):
    # GIVEN a first deployment of the pipeline that failed
    states = {
        "data": Stack("stack-data", "CREATE_COMPLETE", {"a": "b"}),
        "pipeline": Stack("stack-pipeline", "MISSING"),
    }
    monkeypatch.setattr(MadeUpStage, "stack", lambda _, part: states[part])

    # WHEN an operator looks, THEN nothing else is asked for, and the command that deploys it is named
    found = status_of(stage)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(found.screen)
    assert "MISSING" in console.export_text()
    assert "Events" not in console.export_text()
    assert "Deploy it: make deploy STAGE=test" in found.verdict
    stage.describe_alarms.assert_not_called()
