"""`ops status` and `ops verify`: the health of a stage, and an end-to-end check."""

from typing import Annotated

import typer

from ops.commands.at_stage import at_stage
from ops.commands.console import console
from ops.stage import Stage
from ops.status import status_of
from ops.verify.report import Check, Result, checks_table, what_to_do
from ops.verify.run import Options, aftermath
from ops.verify.run import verify as run_checks
from ops.waiting import seconds_of


@at_stage
def status(stage: Stage) -> None:
    """Show stacks, events, dead letters, unfinished imports and alarms. Exit status 1 where something is wrong."""
    found = status_of(stage)
    console.print(found.screen)
    console.print(found.verdict, soft_wrap=True, highlight=False, markup=False)
    if not found.healthy:
        raise typer.Exit(1)


@at_stage
def verify(
    stage: Stage,
    timeout: Annotated[str, typer.Option(help="how long to wait for events to arrive, such as 90s or 5m")] = "3m",
    again_after: Annotated[
        str | None, typer.Option(help="repeat a small round after this time, such as 15m, in frozen environments")
    ] = None,
    root_account_id: Annotated[
        str | None, typer.Option(help="root account of the events, instead of the first of the stage")
    ] = None,
    *,
    alarms: Annotated[bool, typer.Option("--alarms", help="trigger and reset an alarm of each severity")] = False,
) -> None:
    """Check a deployment with synthetic events, and check its configuration. Exit status 1 where a check fails.

    Safe in production: the events have reserved ids that Canvas cannot use (docs/data-model.md).
    """
    options = Options(
        timeout_seconds=seconds_of("--timeout", timeout),
        again_after_seconds=seconds_of("--again-after", again_after) if again_after else None,
        root_account_id=root_account_id,
        alarms=alarms,
    )
    checks: list[Check] = []
    try:
        with console.status("checking") as spinner:
            checks.extend(run_checks(stage, options, report=spinner.update))
    finally:  # also after Ctrl-C, or where a stack is missing
        console.print(checks_table(checks, title=f"Stage {stage.name}"))
        console.print(what_to_do(checks), soft_wrap=True, highlight=False, markup=False)
    console.print(aftermath(stage, options), highlight=False, markup=False)
    if any(check.result is Result.FAILED for check in checks):
        raise typer.Exit(1)
