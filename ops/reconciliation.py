"""Starts and follows reconciliation runs of a stage, and reads their reports."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from functions.routes import CORRECTION_EVENTS, ROUTE_OF
from ops.failure import OperatorError
from ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

Kind = Literal["backfill", "full", "reconcile", "dry-run", "dry-run-full"]
"""The kind of a run, with which the name of its execution begins. AWS names the scheduled runs."""

_POLL_SECONDS = 2
_RUNNING = "RUNNING"
_SUCCEEDED = "SUCCEEDED"


@dataclass(frozen=True)
class Progress:
    """The progress of a run: its current step, and the number of parts done. `total` is 0 while it is unknown."""

    step: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Run:
    """A run that has started.

    Attributes:
        name: the name of the execution.
        status: RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
        started_at: when it started.
        report: its report, empty until it has succeeded.
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
        """Whether it has succeeded."""
        return self.status == _SUCCEEDED

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.status == _RUNNING

    @property
    def corrections(self) -> int:
        """The number of items that were missing or wrong."""
        return int(self.report.get("corrections", 0))

    def families(self) -> dict[str, dict[str, int]]:
        """The number of rows, by record family and verdict."""
        return dict(self.report.get("families", {}))


def start_run(stage: Stage, kind: Kind, *, force: str | None = None, now: datetime) -> str:
    """Start a run, and return the ARN of its execution.

    Args:
        stage: a stage with the settings of a reconciliation.
        kind: `backfill` and the full kinds compare all records. Only a backfill may correct any number of items. A dry
            run publishes nothing.
        force: the name of a run that failed for its number of corrections, after its report was read.
        now: a part of the name of the execution.

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
    """Yield the progress of a run until it has ended."""
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
    """The approximate number of messages in the queues of corrections, including events of Canvas."""
    return sum(stage.message_count(f"{ROUTE_OF[name].construct_id}Queue") for name in CORRECTION_EVENTS.values())


def _progress(stage: Stage, execution: str) -> Progress:
    """The progress of the newest Distributed Map of the run."""
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
