"""`ops publish` and `ops replay`: send events, and deliver archived events again."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import PydanticCustomError
from rich.progress import Progress

from functions.canvas.fields import parse_timestamp
from ops.commands.at_stage import at_stage
from ops.commands.console import console
from ops.failure import OperatorError
from ops.publishing import publish as publish_events
from ops.publishing import read_events
from ops.replay import follow_replay, start_replay
from ops.stage import Stage


@at_stage
def publish(
    stage: Stage,
    files: Annotated[list[Path], typer.Argument(help="JSON (one event, or a list) or NDJSON", show_default=False)],
    rate: Annotated[float, typer.Option(help="events a second", min=0.01)] = 10,
) -> None:
    """Send events to the ingestion queue, as Canvas does."""
    events = [event for file in files for event in read_events(file)]
    with Progress(console=console) as progress:
        for _ in progress.track(
            publish_events(stage, events, events_per_second=rate),
            total=len(events),
            description="to the ingestion queue",
        ):
            pass
    console.print(f"Events sent: {len(events)}")


@at_stage
def replay(
    stage: Stage,
    start: Annotated[str, typer.Option("--from", help="ISO 8601 with offset: when the events came to the bus")],
    end: Annotated[str, typer.Option("--to", help="ISO 8601 with offset, at least ten minutes ago")],
    event: Annotated[str | None, typer.Option(help="only to the rule of this event, such as sis_batch_updated")] = None,
) -> None:
    """Deliver the archived events of a time span again."""
    name = start_replay(
        stage, _instant("--from", start), _instant("--to", end), event_name=event, now=datetime.now(UTC)
    )
    progress_of_replay = None
    try:
        with Progress(console=console) as progress:
            task = progress.add_task(f"replay {name}", total=1.0)
            for progress_of_replay in follow_replay(stage, name):
                progress.update(task, completed=progress_of_replay.share)
    except KeyboardInterrupt:
        cancel = f"aws events cancel-replay --replay-name {name} {stage.aws_options}".rstrip()
        console.print(f"The replay continues. To cancel it: {cancel}")
        return
    assert progress_of_replay is not None
    if progress_of_replay.state != "COMPLETED":
        raise OperatorError(f"Replay {name} ended as {progress_of_replay.state}: {progress_of_replay.reason}")
    console.print(f"Replay {name} is completed. Its events change only what was missing.")


def _instant(option: str, written: str) -> datetime:
    try:
        return datetime.fromisoformat(parse_timestamp(written))
    except PydanticCustomError as error:
        raise OperatorError(f"{option} {error}. For example: 2026-11-01T08:00:00Z") from None
