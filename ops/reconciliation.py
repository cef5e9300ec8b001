"""Reconciliation runs of a stage: starts one, follows it, and reads the reports of the last ones."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

from ops.failure import OperatorError
from ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

Kind = Literal["backfill", "full", "reconcile", "dry-run", "dry-run-full"]
"""What a run is for. The name of its execution begins with it; those of the schedule have names of AWS."""

CORRECTED = ("missing", "drifted")
"""The verdicts that a correction follows."""

VERDICTS = ("missing", "drifted", "same", "undecided", "behind", "unknown", "gone")

_QUEUES = ("EnrollmentUpdatedQueue", "EnrollmentStateUpdatedQueue", "SisBatchUpdatedQueue")
_COUNTS: Final = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")

_POLL_SECONDS = 2
_RUNNING = "RUNNING"
_SUCCEEDED = "SUCCEEDED"


@dataclass(frozen=True)
class Progress:
    """How far a run is: what it does now, and how many of how many parts are done. `total` is 0 while unknown."""

    step: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Run:
    """A run that has started.

    Attributes:
        name: of the execution.
        status: RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
        started_at: when it started.
        report: what it found; empty until it has succeeded.
        error: the kind of failure.
        cause: what failed, and what to do.
    """

    name: str
    status: str
    started_at: datetime
    report: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    cause: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether it came to its end."""
        return self.status == _SUCCEEDED

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.status == _RUNNING

    @property
    def corrections(self) -> int:
        """How many items were missing or wrong."""
        return int(self.report.get("corrections", 0))

    def families(self) -> dict[str, dict[str, int]]:
        """How many rows of each record family got which verdict."""
        return dict(self.report.get("families", {}))


def start_run(stage: Stage, kind: Kind, *, force: str | None = None, now: datetime) -> str:
    """Start a run; the ARN of its execution.

    Args:
        stage: the stage, which has the settings of a reconciliation.
        kind: `backfill` and the full ones take a snapshot; only a backfill may change any number of items; a dry run
            publishes nothing.
        force: name of a run that failed for its number of corrections, after its report was read.
        now: part of the execution's name.

    Raises:
        OperatorError: the stage does not reconcile, or another run has not ended.
    """
    client = _client(stage)
    machine = _state_machine(stage)
    running = client.list_executions(stateMachineArn=machine, statusFilter="RUNNING", maxResults=1)["executions"]
    if running:
        raise OperatorError(
            f"Run {running[0]['name']} has not ended, and two at once would do the same twice. Its state: "
            f"ops drift {stage.ops_options}"
        )
    request = {
        "full": kind in ("backfill", "full", "dry-run-full"),
        "dry_run": kind in ("dry-run", "dry-run-full"),
        "expected": kind == "backfill",
        "force": force,
    }
    started = client.start_execution(
        stateMachineArn=machine, name=f"{kind}-{now:%Y%m%dT%H%M%S}", input=json.dumps(request)
    )
    return started["executionArn"]


def follow_run(stage: Stage, execution: str) -> Iterator[Progress]:
    """The progress of a run, again and again until it has ended."""
    while describe_run(stage, execution).runs:
        yield _progress(stage, execution)
        time.sleep(_POLL_SECONDS)


def describe_run(stage: Stage, execution: str) -> Run:
    """The run as it is now."""
    described = _client(stage).describe_execution(executionArn=execution)
    return Run(
        name=described["name"],
        status=described["status"],
        started_at=described["startDate"],
        report=json.loads(described.get("output") or "{}"),
        error=described.get("error", ""),
        cause=_sentence(described.get("cause", "")),
    )


def last_runs(stage: Stage, number: int) -> list[Run]:
    """The last runs, newest first. Step Functions keeps them for 90 days.

    Source: Step Functions developer guide, "Quotas related to state machine executions".
    """
    executions = _client(stage).get_paginator("list_executions").paginate(stateMachineArn=_state_machine(stage))
    return [
        describe_run(stage, execution["executionArn"])
        for execution in islice(executions.search("executions[]"), number)
    ]


def waiting_corrections(stage: Stage) -> int:
    """How many messages the queues that corrections pass still hold, about. Canvas' own events are among them."""
    sqs: SQSClient = stage.client("sqs")
    answers = [sqs.get_queue_attributes(QueueUrl=stage.queues[name], AttributeNames=_COUNTS) for name in _QUEUES]
    return sum(int(answer["Attributes"][count]) for answer in answers for count in _COUNTS)


def _progress(stage: Stage, execution: str) -> Progress:
    """What the run's newest Distributed Map has done, if it has begun one."""
    client = _client(stage)
    runs = client.list_map_runs(executionArn=execution)["mapRuns"]
    if not runs:
        return Progress("Canvas prepares the data")
    newest = max(runs, key=lambda run: run["startDate"])["mapRunArn"]
    counts = client.describe_map_run(mapRunArn=newest)["itemCounts"]
    # …:mapRun:<state machine>/<label of the map>:<id>
    label = newest.rpartition("/")[2].partition(":")[0]
    step = "publishing corrections" if label.startswith("Publish") else "comparing"
    return Progress(step, counts["succeeded"], counts["total"])


def _sentence(cause: str) -> str:
    """The text of a function's error, which Step Functions wraps in JSON."""
    try:
        wrapped = json.loads(cause)
    except ValueError:
        return cause
    return str(wrapped.get("errorMessage", cause)) if isinstance(wrapped, dict) else cause


def _state_machine(stage: Stage) -> str:
    if stage.settings.reconciliation is None:
        raise OperatorError(
            f"Stage {stage.name} is not compared with Canvas: stages.toml has no [{stage.name}.reconciliation]. "
            "See docs/deployment.md#reconciliation"
        )
    return stage.output("pipeline", "ReconciliationStateMachineArn")


def _client(stage: Stage) -> "SFNClient":
    client: SFNClient = stage.client("stepfunctions")
    return client
