"""The demo: events delivered out of order and twice, then the contents of the tables."""

import io
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console, Group, RenderableType
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
_PICTURE_COLUMNS = 100


def run(stage: Stage, canvas: DoubleOfCanvas, console: Console, picture: Path | None = None) -> None:
    """Publish the story to `stage`, show the tables, and reconcile them with `canvas`.

    The resulting tables are also written to `picture`, as SVG.

    Raises:
        OperatorError: the tables do not hold the end of the story.
    """
    history = story.enrollment_history()
    chapters = {
        "The six examples of the Canvas documentation": story.documented_examples(),
        "One enrollment: 12 events of both families, shuffled, half of them twice": history.deliveries,
        "One SIS import: 4 events, in reverse order": story.import_history()[::-1],
        "One invalid event: a SIS event without root_account_id": [story.invalid_event()],
    }
    started = datetime.now(UTC)
    for title, events in chapters.items():
        _publish(stage, console, title, events)
    deliveries = sum(map(len, chapters.values()))
    outcomes = _wait_for_outcomes(stage, console, expected=deliveries, since=started)
    results = _results(stage)
    console.print("\n", Rule("Contents of the tables"), "\n")
    for result in results:
        console.print(result, crop=False)
    console.print(tables.course(stage, story.COURSE_ID), crop=False)
    console.print(activity_table(outcomes, "Outcomes"))
    if missing := deliveries - total(outcomes):
        console.print(f"{missing} outcomes are missing in the logs: under load the emulator drops lines.")
    console.print("How to handle rejected events: docs/operations.md#rejected-events\n")
    _check(stage, history)
    reconciled = silent_change.run(stage, canvas, console)
    console.print(reconciled)
    if picture is not None:
        _draw(picture, [*chapters], [*results, reconciled])


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


def _results(stage: Stage) -> list[RenderableType]:
    """What became of the enrollment, the import and the invalid event."""
    queues = [queue for queue in dead_letter_queues(stage) if queue.event_name == story.INVALID_EVENT_NAME]
    with DeadLetterBatch(stage, queues) as batch:
        dead_letters = [message for received in batch.receive() for message in received]
    rejected = summary_table(dead_letters, now=datetime.now(UTC))
    del rejected.columns[-2:]  # the ages, which differ from run to run
    return [
        tables.enrollment(stage, story.ENROLLMENT_ID),
        tables.imports(stage, story.ACCOUNT_ID),
        rejected,
    ]


def _draw(picture: Path, sent: Sequence[str], results: Sequence[RenderableType]) -> None:
    """Write the results to `picture`: nothing that differs from run to run, no machine path, no remote font."""
    console = Console(record=True, file=io.StringIO(), width=_PICTURE_COLUMNS, highlight=False)
    console.print("Sent to the ingestion queue:", *(f"- {title}" for title in sent), sep="\n")
    for result in results:
        # Without the AWS command line below a table, which names a generated table.
        console.print("", result.renderables[0] if isinstance(result, Group) else result, sep="\n")
    svg = console.export_svg(title="make demo", unique_id="demo")
    picture.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")


def _check(stage: Stage, history: story.EnrollmentHistory) -> None:
    """Raise where the tables do not hold the end of the story."""
    enrollment = stage.reader.enrollment(story.ENROLLMENT_ID)
    ended = (enrollment.workflow_state, enrollment.state) if enrollment else None
    if ended != (history.final_workflow_state, history.final_state):
        raise OperatorError(f"The enrollment should be completed; it is {ended}. Read {LOG}")
    sis_import = stage.reader.sis_import(story.ACCOUNT_ID, story.SIS_BATCH_ID)
    if sis_import is None or list(sis_import.timeline) != story.IMPORT_STATES:
        raise OperatorError(f"The timeline of the import is incomplete. Read {LOG}")
