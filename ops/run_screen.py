"""Shows reconciliation runs: their progress, reports and outcomes."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from functions.canvas.fields import format_timestamp
from ops.failure import OperatorError
from ops.reconciliation import Kind, Run, describe_run, follow_run, start_run, waiting_corrections
from ops.stage import Stage
from reconciliation.verdict import CORRECTED, Verdict

_POLL_SECONDS = 2


def run_to_its_end(stage: Stage, kind: Kind, console: Console, *, force: str | None = None) -> Run:
    """Start a run, show its progress, and return it when it has succeeded.

    Raises:
        OperatorError: the run failed. The text says why.
    """
    execution = start_run(stage, kind, force=force, now=datetime.now(UTC))
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    try:
        with Progress(*columns, console=console, transient=True) as shown:
            task = shown.add_task("starting", total=None)
            for progress in follow_run(stage, execution):
                shown.update(task, description=progress.step, completed=progress.done, total=progress.total or None)
    except KeyboardInterrupt:
        raise OperatorError(f"The run continues. Its state: ops drift {stage.ops_options}") from None
    run = describe_run(stage, execution)
    if not run.succeeded:
        raise OperatorError(f"Run {run.name} failed ({run.error or run.status}): {run.cause}")
    return run


def follow_corrections(stage: Stage, run: Run, console: Console) -> None:
    """Wait until the queues are empty, so that every correction is in the tables or dead-lettered."""
    if not run.corrections:
        return
    try:
        with console.status("through the queues") as spinner:
            while waiting := waiting_corrections(stage):
                spinner.update(f"through the queues: {waiting:,} left")
                time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        raise OperatorError(
            f"The corrections are on the event bus and will be applied. Look: ops status {stage.ops_options}"
        ) from None


def report_table(run: Run) -> Table:
    """The report of a run: the number of rows by record family and verdict."""
    table = _table(f"Run {run.name}, {_started(run)}")
    table.caption = outcome_of(run)
    table.caption_justify = "left"
    _add_rows(table, run)
    return table


def runs_table(runs: Sequence[Run]) -> Table:
    """The reports of `runs`."""
    table = _table("Runs, newest first", "run")
    for run in runs:
        _add_rows(table, run, run.name)
        table.add_section()
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(*columns, "family", title=title, title_justify="left")
    for name in ("rows", *Verdict):
        table.add_column(name, justify="right", style="bold" if name in CORRECTED else "")
    return table


def _add_rows(table: Table, run: Run, *cells: str) -> None:
    for family, counts in run.families().items():
        table.add_row(*cells, family, *(f"{counts.get(name, 0):,}" for name in ("rows", *Verdict)))


def _started(run: Run) -> str:
    return f"{format_timestamp(run.started_at)[:19]}Z"


def outcome_of(run: Run) -> str:
    """The outcome of a run, in one or two sentences."""
    if run.runs:
        return f"running since {_started(run)}."
    if not run.succeeded:
        return f"{run.error or run.status}, started {_started(run)}. {run.cause}"
    sentences = [f"{run.corrections:,} {'would be corrected' if run.report.get('dry_run') else 'corrected'}."]
    if (seconds := run.report.get("oldest_drift_seconds")) is not None:
        sentences.append(f"The oldest difference is at most {timedelta(seconds=round(seconds))} old.")
    return " ".join(sentences)
