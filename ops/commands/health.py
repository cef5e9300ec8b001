"""`ops status` and `ops verify`: is the stage healthy, and does it work?"""

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
    """One screen: stacks, events, dead letters, unfinished imports, alarms. Exit status 1 where something is wrong."""
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
        str | None, typer.Option(help="repeat a small round later, such as 15m: in environments that were frozen")
    ] = None,
    root_account_id: Annotated[
        str | None, typer.Option(help="root account whose shard the events are of, instead of the stage's first")
    ] = None,
    *,
    alarms: Annotated[bool, typer.Option("--alarms", help="set an alarm of each severity off, and back")] = False,
) -> None:
    """Check a deployment: send it marked events, and look at what becomes of them. Exit status 1 where a check fails.

    Safe in production: the events are of reserved ids that Canvas cannot use (docs/data-model.md).
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
    finally:  # also of what was found until Ctrl-C, or until a stack turned out to be missing
        console.print(checks_table(checks, title=f"Stage {stage.name}"))
        console.print(what_to_do(checks), soft_wrap=True, highlight=False, markup=False)
    console.print(aftermath(stage, options), highlight=False, markup=False)
    if any(check.result is Result.FAILED for check in checks):
        raise typer.Exit(1)
