"""Replaying the bus' archive: the events of a time span once more, through the same rules and functions."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ops.failure import OperatorError
from ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_POLL_SECONDS = 2
_ENDED = {"COMPLETED", "FAILED", "CANCELLED"}


@dataclass(frozen=True)
class Progress:
    """How far a replay is: its state, the share of the time span, and why it failed, if it did."""

    state: str
    share: float
    reason: str


def start_replay(stage: Stage, start: datetime, end: datetime) -> str:
    """Start the replay of everything that came to the bus from `start` to `end`; its name.

    Raises:
        OperatorError: the time span is empty, or the bus has no archive.
    """
    if start >= end:
        raise OperatorError("--from must be before --to.")
    events: EventBridgeClient = stage.client("events")
    bus = events.describe_event_bus(Name=stage.event_bus)["Arn"]
    archives = events.list_archives(EventSourceArn=bus)["Archives"]
    if not archives:
        raise OperatorError(f"The bus of stage {stage.name} has no archive: set archive_days in infra/settings.py")
    name = f"canvas-live-state-{stage.name}-{int(time.time())}"
    archive = events.describe_archive(ArchiveName=archives[0]["ArchiveName"])["ArchiveArn"]
    events.start_replay(
        ReplayName=name, EventSourceArn=archive, EventStartTime=start, EventEndTime=end, Destination={"Arn": bus}
    )
    return name


def follow_replay(stage: Stage, name: str) -> Iterator[Progress]:
    """The replay's progress, again and again until it has ended."""
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
