"""`ops`: the operator's command line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console, RenderableType
from rich.progress import Progress

from ops import demo as demo_story
from ops import tables
from ops.failure import OperatorError
from ops.local.checkout import ENV_FILE
from ops.local.deployment import STAGE as LOCAL_STAGE
from ops.local.deployment import deploy, running_stage
from ops.local.emulator import Emulator
from ops.publishing import publish as publish_events
from ops.publishing import read_events
from ops.stage import Stage

app = typer.Typer(help="Operate the state of Canvas enrollments and SIS imports.", no_args_is_help=True)
show = typer.Typer(help="Show what the tables say.", no_args_is_help=True)
app.add_typer(show, name="show")

# Where no terminal says how wide it is, ids must still fit.
console = Console(width=None if sys.stdout.isatty() else 160)

StageName = Annotated[str, typer.Option("--stage", help="local, or a stage deployed to AWS")]


def main() -> None:
    """Run the command line; a failure is one message to the operator and exit status 1."""
    try:
        app()
    except OperatorError as error:
        _fail(str(error))
    except (BotoCoreError, ClientError) as error:
        _fail(f"AWS did not do it: {error}\nCheck your credentials, region and permissions.")


@app.command()
def up() -> None:
    """Start the emulator, or take the running one, and deploy all stacks to it."""
    _up()
    console.print(f"The local stage is up. For your shell: source {ENV_FILE}   To end it: make down")


@app.command()
def down() -> None:
    """Stop the emulator. Its tables are gone with it."""
    emulator = Emulator.running()
    if emulator is None:
        console.print("Nothing runs locally.")
        return
    with console.status("stopping the emulator"):
        emulator.stop()
        ENV_FILE.unlink(missing_ok=True)
    console.print("The local stage is down.")


@app.command()
def demo() -> None:
    """Deploy to the emulator, tell it a story out of order, show the tables, stop."""
    was_running = Emulator.running() is not None
    try:
        demo_story.tell(_up(), console)
    finally:
        if not was_running:
            down()


@app.command()
def publish(
    files: Annotated[list[Path], typer.Argument(help="JSON (one event, or a list) or NDJSON", show_default=False)],
    stage: StageName = LOCAL_STAGE,
    rate: Annotated[float, typer.Option(help="events a second", min=0.01)] = 10,
) -> None:
    """Send events to the front-door queue, as Canvas does."""
    events = [event for file in files for event in read_events(file)]
    target = _stage(stage)
    with Progress(console=console) as progress:
        for _ in progress.track(
            publish_events(target, events, events_per_second=rate), total=len(events), description="to the front door"
        ):
            pass
    console.print(f"{len(events)} events are on their way.")


@show.command("enrollment")
def show_enrollment(enrollment_id: str, stage: StageName = LOCAL_STAGE) -> None:
    """Everything that is known of one enrollment."""
    _show(tables.enrollment, stage, enrollment_id)


@show.command("course")
def show_course(course_id: str, stage: StageName = LOCAL_STAGE) -> None:
    """A course's roster."""
    _show(tables.course, stage, course_id)


@show.command("user")
def show_user(user_id: str, stage: StageName = LOCAL_STAGE) -> None:
    """A user's enrollments."""
    _show(tables.user, stage, user_id)


@show.command("imports")
def show_imports(account_id: str, stage: StageName = LOCAL_STAGE) -> None:
    """An account's SIS imports, newest first. The id is global: shard x 10^13 + local id."""
    _show(tables.imports, stage, account_id)


def _up() -> Stage:
    with console.status("starting the emulator") as status:
        emulator = Emulator.running() or Emulator.start()

        def report(step: str) -> None:
            status.update(step[: console.width - 4])

        stage = deploy(emulator, report=report)
    console.print(f"Deployed to the emulator on {emulator.endpoint}")
    return stage


def _stage(name: str) -> Stage:
    return running_stage() if name == LOCAL_STAGE else Stage.deployed(name)


def _show(table: Callable[[Stage, str], RenderableType], stage: str, key: str) -> None:
    console.print(table(_stage(stage), key))


def _fail(message: str) -> None:
    Console(stderr=True).print(message, style="red", markup=False, highlight=False)
    sys.exit(1)
