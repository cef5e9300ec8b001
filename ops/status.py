"""One look at a stage: is it healthy, and if not, why?"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ops import tables
from ops.activity import Activities, activity_table, retries
from ops.dead_letters import count_dead_letters, dead_letter_queues
from ops.stage import STACKS, Stage

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_LATELY = timedelta(hours=1)
_JUST_NOW = timedelta(minutes=10)

ReadActivity = Callable[..., Activities]


@dataclass(frozen=True)
class Status:
    """What was found: a screen for the operator, and every reason for which the stage is not healthy."""

    screen: RenderableType
    reasons: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether there is no reason to act."""
        return not self.reasons


def status_of(stage: Stage, *, read_activity: ReadActivity, unfinished_import_hours: int) -> Status:
    """Look at the stage's stacks, events, dead letters, unfinished imports and alarms."""
    now = datetime.now(UTC)
    stacks = _stack_states(stage)
    letters = count_dead_letters(stage, dead_letter_queues(stage))
    alarms = _alarms(stage)
    retried = retries(read_activity(stage, since=now - _JUST_NOW))
    unfinished = stage.reader.unfinished_imports()
    stuck = [record for record in unfinished if now - record.event_time > timedelta(hours=unfinished_import_hours)]
    reasons = (
        *(f"stack {name} is {state}" for name, state in stacks.items() if not _is_settled(state)),
        *([f"{retried} messages failed just now and are retried: see the functions' logs"] if retried else []),
        *(f"{count} in {queue}: ops redrive --dry-run" for queue, count in letters.items() if count),
        *(
            f"import {record.account_id}/{record.sis_batch_id} has had no event since {record.event_time}"
            for record in stuck
        ),
        *(f"alarm {name}: {description}" for name, description in alarms.items()),
    )
    screen = Group(
        _two_columns("Stacks", "stack", "state", stacks),
        activity_table(read_activity(stage, since=now - _LATELY), "Events of the last hour"),
        _two_columns(
            "Dead-lettered messages", "dead-letter queue", "messages", {q: str(n) for q, n in letters.items() if n}
        ),
        tables.imports_table("Unfinished imports", unfinished),
        _two_columns("Alarms", "in alarm", "", alarms),
        Text("\n".join(["Not healthy:", *(f"- {reason}" for reason in reasons)]) if reasons else "Healthy."),
    )
    return Status(screen, reasons)


def _stack_states(stage: Stage) -> dict[str, str]:
    cloudformation: CloudFormationClient = stage.client("cloudformation")
    states: dict[str, str] = {}
    for part in STACKS:
        name = stage.stack_name(part)
        try:
            states[name] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            states[name] = "MISSING"
    return states


def _is_settled(state: str) -> bool:
    return state in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"}


def _alarms(stage: Stage) -> dict[str, str]:
    """The alarms of the stage that are in alarm, and what each means."""
    pages = stage.client("cloudwatch").get_paginator("describe_alarms")
    return {
        alarm["AlarmName"]: alarm.get("AlarmDescription", "")
        for page in pages.paginate(StateValue="ALARM", AlarmNamePrefix=stage.stack_name("pipeline"))
        for alarm in page["MetricAlarms"]
    }


def _two_columns(title: str, left: str, right: str, rows: dict[str, str]) -> RenderableType:
    if not rows:
        return Text(f"{title}: none")
    table = Table(left, right, title=title, title_justify="left")
    for row in rows.items():
        table.add_row(*row)
    return table
