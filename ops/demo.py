"""The demo: events delivered out of order, and what the tables then hold."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import Progress
from rich.rule import Rule

from ops import silent_change, story, tables
from ops.activity import Activities, activity_of, activity_table, total
from ops.dead_letters import DeadLetterBatch, dead_letter_queues, summary_table
from ops.failure import OperatorError
from ops.local.canvas import DoubleOfCanvas
from ops.local.emulator import LOG
from ops.publishing import Event, publish
from ops.stage import Stage

_EVENTS_PER_SECOND = 10
_PATIENCE_SECONDS = 60


def run(stage: Stage, canvas: DoubleOfCanvas, console: Console) -> None:
    """Publish the story to `stage`, show the result, and compare the tables with `canvas`.

    Raises:
        OperatorError: the tables do not hold the end of the story.
    """
    history = story.enrollment_history()
    chapters = {
        "The six events of Canvas' documentation": story.documented_examples(),
        "The history of one enrollment: 12 events of both families, shuffled, half of them twice": history.deliveries,
        "The history of one SIS import, backwards": story.import_history()[::-1],
        "One invalid event: a SIS import without its school": [story.invalid_event()],
    }
    started = datetime.now(UTC)
    for title, events in chapters.items():
        _publish(stage, console, title, events)
    deliveries = sum(map(len, chapters.values()))
    outcomes = _wait_for_outcomes(stage, console, expected=deliveries, since=started)
    _show(stage, console, outcomes, missing=deliveries - total(outcomes))
    _check(stage, history)
    silent_change.run(stage, canvas, console)


def _publish(stage: Stage, console: Console, title: str, events: Sequence[Event]) -> None:
    console.print(f"\n[bold]{title}[/bold]")
    with Progress(console=console) as progress:
        for _ in progress.track(
            publish(stage, events, events_per_second=_EVENTS_PER_SECOND),
            total=len(events),
            description="to the ingestion queue",
        ):
            pass


def _wait_for_outcomes(stage: Stage, console: Console, *, expected: int, since: datetime) -> Activities:
    """The outcomes, as soon as all are in the logs; or those that are, once no more are added."""
    console.print()
    outcomes: Activities = {}
    last_progress = time.monotonic()
    with Progress(console=console) as progress:
        task = progress.add_task("through the functions", total=expected)
        while total(outcomes) < expected:
            before = total(outcomes)
            outcomes = activity_of(stage, since=since)
            progress.update(task, completed=total(outcomes))
            if total(outcomes) > before:
                last_progress = time.monotonic()
            elif time.monotonic() > last_progress + _PATIENCE_SECONDS:
                break
            time.sleep(0.5)
    return outcomes


def _show(stage: Stage, console: Console, outcomes: Activities, *, missing: int) -> None:
    console.print("\n", Rule("What the tables hold now"), "\n")
    console.print(tables.enrollment(stage, story.ENROLLMENT_ID), crop=False)
    console.print(tables.course(stage, story.COURSE_ID), crop=False)
    console.print(tables.imports(stage, story.ACCOUNT_ID), crop=False)
    console.print(activity_table(outcomes, "Outcomes"))
    if missing:
        console.print(f"{missing} outcomes are missing in the logs: under load the emulator drops lines.")
    _show_dead_letters(stage, console)


def _show_dead_letters(stage: Stage, console: Console) -> None:
    queues = [queue for queue in dead_letter_queues(stage) if queue.event_name == story.INVALID_EVENT_NAME]
    with DeadLetterBatch(stage, queues) as batch:
        letters = [letter for received in batch.receive() for letter in received]
    console.print(summary_table(letters, now=datetime.now(UTC)))
    console.print(
        "The function sent the invalid event to its dead-letter queue at once, with the reason.\n"
        "What to do about it: docs/operations.md#rejected-events\n"
    )


def _check(stage: Stage, history: story.EnrollmentHistory) -> None:
    """Compare the tables with the end of the story."""
    enrollment = stage.reader.enrollment(story.ENROLLMENT_ID)
    ended = (enrollment.workflow_state, enrollment.state) if enrollment else None
    if ended != (history.final_workflow_state, history.final_state):
        raise OperatorError(f"The enrollment should be completed, but it is {ended}. Read {LOG}")
    sis_import = stage.reader.sis_import(story.ACCOUNT_ID, story.SIS_BATCH_ID)
    if sis_import is None or list(sis_import.timeline) != story.IMPORT_STATES:
        raise OperatorError(f"The timeline of the import should be complete, but it is not. Read {LOG}")
