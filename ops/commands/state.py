"""`ops show` and `ops close-import`: show records, and end an unfinished import."""

from typing import Annotated

import typer

from ops import tables
from ops.commands.at_stage import at_stage
from ops.commands.console import console
from ops.stage import Stage

show = typer.Typer(help="Show records of the tables.", no_args_is_help=True)


@show.command("enrollment")
@at_stage
def show_enrollment(stage: Stage, enrollment_id: str) -> None:
    """All attributes of one enrollment."""
    console.print(tables.enrollment(stage, enrollment_id), crop=False)


@show.command("course")
@at_stage
def show_course(stage: Stage, course_id: str) -> None:
    """The roster of a course."""
    console.print(tables.course(stage, course_id), crop=False)


@show.command("user")
@at_stage
def show_user(stage: Stage, user_id: str) -> None:
    """The enrollments of a user."""
    console.print(tables.user(stage, user_id), crop=False)


@show.command("imports")
@at_stage
def show_imports(stage: Stage, account_id: str) -> None:
    """The SIS imports of an account, newest first. The id is global: shard x 10^13 + local id."""
    console.print(tables.imports(stage, account_id), crop=False)


@at_stage
def close_import(
    stage: Stage,
    account_id: Annotated[str, typer.Argument(help="global id of the account, as `ops status` shows it")],
    sis_batch_id: Annotated[str, typer.Argument(help="number of the import")],
    state: Annotated[str, typer.Option("--as", help="the state in which Canvas shows it, such as aborted")],
) -> None:
    """End an unfinished import of which Canvas sends no further event, such as an aborted one.

    Publishes an ordinary event to the event bus: the archive keeps it, and a newer event of Canvas replaces it.
    """
    # Imported here: it needs the models of the events, which take a second to load.
    from ops.close_import import close_import as close  # noqa: PLC0415

    with console.status("waiting for the table"):
        closed = close(stage, account_id, sis_batch_id, state)
    console.print(tables.imports_table(f"Import {closed.account_id}/{closed.sis_batch_id}", [closed]))
