"""Replays the events of a time span from the archive of the event bus."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from functions.canvas.fields import format_timestamp
from functions.routes import EVENT_NAMES
from ops.failure import OperatorError
from ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import DescribeArchiveResponseTypeDef, ReplayDestinationTypeDef

_POLL_SECONDS = 2
_ARCHIVE_DELAY = timedelta(minutes=10)
"""The longest delay of events in the archive. Source: EventBridge user guide, "Archiving and replaying events"."""

_ENDED = {"COMPLETED", "FAILED", "CANCELLED"}


@dataclass(frozen=True)
class Progress:
    """The progress of a replay: its state, the replayed share of the time span, and the reason of its state."""

    state: str
    share: float
    reason: str


def start_replay(stage: Stage, start: datetime, end: datetime, *, event_name: str | None = None, now: datetime) -> str:
    """Start a replay of the events from `start` to `end`, to the rule of `event_name` or to all; return its name.

    Raises:
        OperatorError: the time span is empty or too young, no such event, or the event bus has no archive.
    """
    if start >= end:
        raise OperatorError("--from must be before --to.")
    youngest = now - _ARCHIVE_DELAY
    # The emulator archives at once.
    if end > youngest and not stage.settings.runs_on_emulator:
        raise OperatorError(
            f"--to must be at least {_ARCHIVE_DELAY.seconds // 60} minutes ago, or events that are still on their way "
            f"to the archive are left out: {format_timestamp(youngest)[:19]}Z or earlier."
        )
    archive = describe_archive(stage)
    if archive is None:
        raise OperatorError(
            f"The event bus of stage {stage.name} has no archive. Set archive_days in stages.toml, then: "
            f"{stage.deploy_command}"
        )
    destination: ReplayDestinationTypeDef = {"Arn": archive["EventSourceArn"]}
    if event_name is not None:
        destination["FilterArns"] = [_rule_arn(stage, event_name)]
    name = f"{stage.settings.stack_name('pipeline')}-{time.time_ns() // 1_000_000}"
    events: EventBridgeClient = stage.client("events")
    events.start_replay(
        ReplayName=name,
        EventSourceArn=archive["ArchiveArn"],
        EventStartTime=start,
        EventEndTime=end,
        Destination=destination,
    )
    return name


def describe_archive(stage: Stage) -> "DescribeArchiveResponseTypeDef | None":
    """The archive of the event bus, `None` where it has none."""
    events: EventBridgeClient = stage.client("events")
    bus = events.describe_event_bus(Name=stage.event_bus)["Arn"]
    archives = events.list_archives(EventSourceArn=bus)["Archives"]
    return events.describe_archive(ArchiveName=archives[0]["ArchiveName"]) if archives else None


def follow_replay(stage: Stage, name: str) -> Iterator[Progress]:
    """Yield the progress of the replay until it has ended."""
    events: EventBridgeClient = stage.client("events")
    while True:
        replay = events.describe_replay(ReplayName=name)
        state = replay["State"]
        span = (replay["EventEndTime"] - replay["EventStartTime"]).total_seconds()
        reached = replay.get("EventLastReplayedTime", replay["EventStartTime"])
        share = 1.0 if state == "COMPLETED" else (reached - replay["EventStartTime"]).total_seconds() / span
        yield Progress(state, share, replay.get("StateReason", ""))
        if state in _ENDED:
            return
        time.sleep(_POLL_SECONDS)


def _rule_arn(stage: Stage, event_name: str) -> str:
    """The ARN of the rule that matches `event_name`."""
    if event_name not in EVENT_NAMES:
        raise OperatorError(f"--event takes one of: {', '.join(sorted(EVENT_NAMES))}")
    pages = stage.client("events").get_paginator("list_rules").paginate(EventBusName=stage.event_bus)
    for rule in pages.search("Rules[]"):
        if json.loads(rule.get("EventPattern") or "{}").get("detail-type") == [event_name]:
            return str(rule["Arn"])
    raise OperatorError(f"The event bus has no rule for {event_name}. Deploy it: {stage.deploy_command}")
