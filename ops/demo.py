"""The demo: a story told to the front door out of order, and what the tables then say."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import Progress
from rich.rule import Rule

from ops import story, tables
from ops.activity import Activities, activity_in_logs, activity_table, total
from ops.dead_letters import dead_letter_queues, summary_table
from ops.failure import OperatorError
from ops.publishing import Event, publish
from ops.redrive import Selection
from ops.stage import Stage

# The emulator starts a process for each event that finds no idle one: faster would be slower.
_EVENTS_PER_SECOND = 3
_PATIENCE_SECONDS = 20
_ATTEMPTS_AT_AN_INVALID_EVENT = 3


def tell(stage: Stage, console: Console) -> None:
    """Publish the story to `stage`, wait until every event is dealt with, and show the result.

    Raises:
        OperatorError: the tables do not say what the story says.
    """
    history = story.enrollment_history()
    chapters = {
        "The six events of Canvas' documentation": story.documented_examples(),
        "One enrollment's life: 12 events of both families, shuffled, half of them twice": history.deliveries,
        "One SIS import's life, backwards": story.import_history()[::-1],
        "One invalid event: a SIS import that names no school": [story.invalid_event()],
    }
    started = datetime.now(UTC)
    for title, events in chapters.items():
        _publish(stage, console, title, events)
    deliveries = sum(map(len, chapters.values())) - 1 + _ATTEMPTS_AT_AN_INVALID_EVENT
    outcomes = _wait_for_outcomes(stage, console, expected=deliveries, since=started)
    _show(stage, console, outcomes, missing=deliveries - total(outcomes))
    _check(stage, history)


def _publish(stage: Stage, console: Console, title: str, events: Sequence[Event]) -> None:
    console.print(f"\n[bold]{title}[/bold]")
    with Progress(console=console) as progress:
        for _ in progress.track(
            publish(stage, events, events_per_second=_EVENTS_PER_SECOND),
            total=len(events),
            description="to the front door",
        ):
            pass


def _wait_for_outcomes(stage: Stage, console: Console, *, expected: int, since: datetime) -> Activities:
    """The outcomes, as soon as all are in the logs; or what there is, when no more come."""
    console.print()
    outcomes: Activities = {}
    last_progress = time.monotonic()
    with Progress(console=console) as progress:
        task = progress.add_task("through the functions", total=expected)
        while total(outcomes) < expected:
            before = total(outcomes)
            outcomes = activity_in_logs(stage, since=since)
            progress.update(task, completed=total(outcomes))
            if total(outcomes) > before:
                last_progress = time.monotonic()
            elif time.monotonic() > last_progress + _PATIENCE_SECONDS:
                break
            time.sleep(0.5)
    return outcomes


def _show(stage: Stage, console: Console, outcomes: Activities, *, missing: int) -> None:
    console.print("\n", Rule("What the tables say now"), "\n")
    console.print(tables.enrollment(stage, story.ENROLLMENT_ID))
    console.print(tables.course(stage, story.COURSE_ID))
    console.print(tables.imports(stage, story.ACCOUNT_ID))
    console.print(activity_table(outcomes, "Outcomes"))
    if missing:
        console.print(f"{missing} outcomes did not reach the emulator's log: under load it drops lines.")
    _show_dead_letters(stage, console)
    console.print(
        "The invalid event was tried three times, as Lambda does, before it went to its function's dead-letter queue.\n"
        "What to do about it: docs/operations.md#rejected-events\n"
    )


def _show_dead_letters(stage: Stage, console: Console) -> None:
    """Show the invalid event, as soon as Lambda has put it where it gives events up."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with Selection(stage, dead_letter_queues(stage), only=None) as selection:
            letters = [letter for batch in selection.batches() for letter in batch]
        if letters or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    console.print(summary_table(letters, now=datetime.now(UTC)))


def _check(stage: Stage, history: story.EnrollmentHistory) -> None:
    """Whether the tables hold what the story ends with, whatever the order it was told in."""
    enrollment = stage.reader.enrollment(story.ENROLLMENT_ID)
    ended = (enrollment.workflow_state, enrollment.state) if enrollment else None
    if ended != (history.final_workflow_state, history.final_state):
        raise OperatorError(f"The enrollment should be completed, but it is {ended}. Read .local/emulator.log")
    sis_import = stage.reader.sis_import(story.ACCOUNT_ID, story.SIS_BATCH_ID)
    if sis_import is None or list(sis_import.timeline) != story.IMPORT_STATES:
        raise OperatorError("The import should have its whole timeline, but it has not. Read .local/emulator.log")
