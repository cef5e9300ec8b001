"""The health of a stage, with the reasons where it is not healthy."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from canvas_live_state import SisImport
from functions.canvas.fields import format_timestamp
from ops import tables
from ops.activity import Activities, activity_of, activity_table, retries
from ops.dead_letters import count_dead_letters, dead_letter_queues
from ops.stacks import Stack
from ops.stage import PARTS, Stage

_LATELY = timedelta(hours=1)
_JUST_NOW = timedelta(minutes=10)


@dataclass(frozen=True)
class Status:
    """The state of a stage in tables, and the reasons why it is not healthy."""

    screen: RenderableType
    reasons: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """The reasons, a line each. Not part of the screen, which would wrap the commands in them."""
        return "\n".join(["Not healthy:", *(f"- {reason}" for reason in self.reasons)]) if self.reasons else "Healthy."

    @property
    def healthy(self) -> bool:
        """Whether there is no reason to act."""
        return not self.reasons


@dataclass(frozen=True)
class _Findings:
    """The state of a stage in AWS, requested concurrently: each request takes 0.1 seconds."""

    lately: Activities
    just_now: Activities
    dead_letters: dict[str, int]
    unfinished: list[SisImport]
    alarms: dict[str, str]


def status_of(stage: Stage) -> Status:
    """Check stacks, events, dead letters, unfinished imports and alarms of the stage."""
    stacks = [stage.stack(part) for part in PARTS]
    wrong = [stage.problem_of(stack) for stack in stacks if not stack.is_settled]
    if not all(stack.outputs for stack in stacks):  # the other checks need the outputs
        return Status(_stack_table(stacks), tuple(wrong))
    now = datetime.now(UTC)
    found = _look(stage, now)
    reasons = (*wrong, *_reasons(stage, found, now))
    screen = Group(
        _stack_table(stacks),
        activity_table(found.lately, "Events of the last hour"),
        _two_columns(
            "Dead-lettered messages",
            ("dead-letter queue", "messages"),
            {queue: str(count) for queue, count in found.dead_letters.items() if count},
        ),
        tables.imports_table("Unfinished imports", found.unfinished),
        _two_columns("Alarms", ("in alarm", ""), found.alarms),
    )
    return Status(screen, reasons)


def _look(stage: Stage, now: datetime) -> _Findings:
    queues = dead_letter_queues(stage)
    with ThreadPoolExecutor() as pool:
        lately = pool.submit(activity_of, stage, since=now - _LATELY)
        just_now = pool.submit(activity_of, stage, since=now - _JUST_NOW)
        dead_letters = pool.submit(count_dead_letters, stage, queues)
        unfinished = pool.submit(stage.reader.unfinished_imports)
        alarms = pool.submit(_alarms, stage)
        return _Findings(
            lately.result(), just_now.result(), dead_letters.result(), unfinished.result(), alarms.result()
        )


def _reasons(stage: Stage, found: _Findings, now: datetime) -> list[str]:
    """Everything that is wrong, each with what to do about it."""
    retried = retries(found.just_now)
    stuck_after = timedelta(hours=stage.settings.stuck_import_hours)
    return [
        *(
            [f"{retried} failed attempts in ten minutes; messages are retried: docs/operations.md#failed-messages"]
            * bool(retried)
        ),
        *(
            f"{count} in {queue}: ops redrive {stage.ops_options} --queue {queue} --dry-run"
            for queue, count in found.dead_letters.items()
            if count
        ),
        *(_stuck(stage, record) for record in found.unfinished if now - record.event_time > stuck_after),
        *(f"alarm {name}: {description}" for name, description in found.alarms.items()),
    ]


def _stuck(stage: Stage, record: SisImport) -> str:
    key = f"{record.account_id} {record.sis_batch_id}"
    return (
        f"import {key.replace(' ', '/')} has had no event since {format_timestamp(record.event_time)}. If Canvas shows "
        f"it as aborted: ops close-import {stage.ops_options} {key} --as aborted"
    )


def _alarms(stage: Stage) -> dict[str, str]:
    """The descriptions of the alarms that are in alarm, by name."""
    pages = stage.client("cloudwatch").get_paginator("describe_alarms")
    return {
        alarm["AlarmName"]: alarm.get("AlarmDescription", "")
        for page in pages.paginate(StateValue="ALARM", AlarmNamePrefix=stage.settings.stack_name("pipeline"))
        for alarm in page["MetricAlarms"]
    }


def _stack_table(stacks: list[Stack]) -> RenderableType:
    return _two_columns("Stacks", ("stack", "state"), {stack.name: stack.state for stack in stacks})


def _two_columns(title: str, columns: tuple[str, str], rows: dict[str, str]) -> RenderableType:
    if not rows:
        return Text(f"{title}: none")
    table = Table(*columns, title=title, title_justify="left")
    for row in rows.items():
        table.add_row(*row)
    return table
