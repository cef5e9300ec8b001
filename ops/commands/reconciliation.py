"""`ops backfill`, `ops reconcile` and `ops drift`: fill the tables from Canvas, and compare them with Canvas."""

from typing import Annotated

import typer

from ops.commands.at_stage import at_stage
from ops.commands.console import console
from ops.failure import OperatorError
from ops.reconciliation import Kind, last_runs
from ops.run_screen import follow_corrections, outcome_of, report_table, run_to_its_end, runs_table
from ops.stage import Stage


@at_stage
def backfill(stage: Stage) -> None:
    """Fill the tables with all records of Canvas, after the first deployment or a restore."""
    run = run_to_its_end(stage, "backfill", console)
    follow_corrections(stage, run, console)
    console.print(report_table(run))


@at_stage
def reconcile(
    stage: Stage,
    *,
    full: Annotated[bool, typer.Option("--full", help="compare all records, not only recent changes")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="correct nothing; exit status 1 where an item is missing or wrong")
    ] = False,
    force: Annotated[
        str | None,
        typer.Option(help="name of a run that failed for its number of corrections, after you read its report"),
    ] = None,
) -> None:
    """Compare the tables with Canvas, and correct what is missing or wrong."""
    if dry_run and force:
        raise OperatorError("--dry-run and --force exclude each other: a dry run corrects nothing.")
    kinds: dict[tuple[bool, bool], Kind] = {
        (False, False): "reconcile",
        (True, False): "full",
        (False, True): "dry-run",
        (True, True): "dry-run-full",
    }
    run = run_to_its_end(stage, kinds[full, dry_run], console, force=force)
    if not dry_run:
        follow_corrections(stage, run, console)
    console.print(report_table(run))
    if dry_run and run.corrections:
        console.print(
            f"{run.corrections} records are missing or wrong. Correct them: ops reconcile {stage.ops_options}",
            soft_wrap=True,
            highlight=False,
        )
        raise typer.Exit(1)


@at_stage
def drift(stage: Stage, last: Annotated[int, typer.Option(help="how many runs", min=1, max=100)] = 5) -> None:
    """Show the reports of the last runs, by verdict and record family."""
    runs = last_runs(stage, last)
    if not runs:
        console.print(f"No run yet. Begin: ops backfill {stage.ops_options}", highlight=False)
        return
    console.print(runs_table(runs))
    for run in runs:
        console.print(f"{run.name}: {outcome_of(run)}", soft_wrap=True, highlight=False, markup=False)
