"""`ops`: the operator's command line."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from pydantic_core import PydanticCustomError
from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn

from functions.canvas.fields import parse_timestamp
from ops import demo as demo_story
from ops import tables
from ops.activity import activity_in_logs, activity_in_metrics
from ops.dead_letters import (
    MALFORMED,
    REJECTED,
    DeadLetter,
    DeadLetterBatch,
    DeadLetterQueue,
    dead_letter_queues,
    summary_table,
)
from ops.failure import OperatorError
from ops.local.checkout import ENV_FILE
from ops.local.deployment import STAGE as LOCAL_STAGE
from ops.local.deployment import deploy, running_stage
from ops.local.emulator import Emulator
from ops.publishing import publish as publish_events
from ops.publishing import read_events
from ops.redrive import export, selection
from ops.redrive import redrive as redrive_messages
from ops.replay import follow_replay, start_replay
from ops.stage import Stage
from ops.status import status_of

app = typer.Typer(help="Operate the state of Canvas enrollments and SIS imports.", no_args_is_help=True)
show = typer.Typer(help="Show what the tables say.", no_args_is_help=True)
app.add_typer(show, name="show")

# Where no terminal says how wide it is, ids must still fit.
console = Console(width=None if sys.stdout.isatty() else 160)

StageName = Annotated[str, typer.Option("--stage", help="local, or a stage deployed to AWS")]


def main() -> None:
    """Run the command line; a failure is one message to the operator and exit status 1."""
    try:
        app(prog_name="ops")
    except OperatorError as error:
        _fail(str(error))
    except (BotoCoreError, ClientError) as error:
        _fail(f"AWS request failed: {error}\nCheck your credentials, region and permissions.")


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
    """Deploy to the emulator, send it events out of order, show the tables, stop."""
    was_running = Emulator.running() is not None
    try:
        demo_story.run(_up(), console)
    finally:
        if not was_running:
            down()


@app.command()
def publish(
    files: Annotated[list[Path], typer.Argument(help="JSON (one event, or a list) or NDJSON", show_default=False)],
    stage: StageName = LOCAL_STAGE,
    rate: Annotated[float, typer.Option(help="events a second", min=0.01)] = 10,
) -> None:
    """Send events to the ingestion queue, as Canvas does."""
    events = [event for file in files for event in read_events(file)]
    target = _stage(stage)
    with Progress(console=console) as progress:
        for _ in progress.track(
            publish_events(target, events, events_per_second=rate),
            total=len(events),
            description="to the ingestion queue",
        ):
            pass
    console.print(f"Events sent: {len(events)}")


@app.command()
def redrive(
    stage: StageName = LOCAL_STAGE,
    queue: Annotated[str | None, typer.Option(help="one dead-letter queue, by the name that --dry-run shows")] = None,
    only: Annotated[str | None, typer.Option(help="one kind of error, as --dry-run shows it")] = None,
    rate: Annotated[float, typer.Option(help="messages a second", min=0.01)] = 100,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list all messages, and send nothing")] = False,
    export_to: Annotated[
        Path | None, typer.Option("--export", help="write the messages to a new file, and send nothing")
    ] = None,
    discard: Annotated[bool, typer.Option("--discard", help="with --export: remove what was written")] = False,
) -> None:
    """Send dead-lettered messages back to the queues in which they failed.

    What was rejected is sent only when it is named: --only RejectedEvent. Stop with Ctrl-C at any moment, repeat as
    often as you like: an event that is delivered again changes nothing.
    """
    if discard and export_to is None:
        raise OperatorError("--discard needs --export FILE: what is not written somewhere would be lost.")
    target = _stage(stage)
    selected = selection(only) if only or not (dry_run or export_to) else lambda _: True
    with DeadLetterBatch(target, _queues(target, queue)) as batch:
        if dry_run:
            done = _collect(
                (letter for letters in batch.receive() for letter in letters if selected(letter)), "reading"
            )
        elif export_to is not None:
            done = _collect(export(batch, selected, export_to, discard=discard), "exporting")
        else:
            done = _collect(redrive_messages(target, batch, selected, messages_per_second=rate), "sending back")
        left = list(batch.left.values())
    console.print(summary_table(done, now=datetime.now(UTC)))
    verb = "Found" if dry_run else f"Written to {export_to}" if export_to else "Sent back"
    console.print(f"{verb}: {len(done)}")
    newer = [letter for letter in left if batch.is_newer(letter)]
    if newer:
        console.print(f"Dead-lettered since this command began: {len(newer)}. Run it again for these.")
    if not dry_run and export_to is None:
        for sentence in _why_not_sent([letter for letter in left if not selected(letter)]):
            console.print(sentence)


@app.command()
def replay(
    start: Annotated[str, typer.Option("--from", help="ISO 8601 with offset: when the events came to the bus")],
    end: Annotated[str, typer.Option("--to", help="ISO 8601 with offset")],
    stage: StageName = LOCAL_STAGE,
) -> None:
    """Let the events of a time span pass the bus once more, out of its archive."""
    target = _stage(stage)
    name = start_replay(target, _instant("--from", start), _instant("--to", end))
    progress_of_replay = None
    try:
        with Progress(console=console) as progress:
            task = progress.add_task(f"replay {name}", total=1.0)
            for progress_of_replay in follow_replay(target, name):
                progress.update(task, completed=progress_of_replay.share)
    except KeyboardInterrupt:
        console.print(f"The replay goes on. To end it: aws events cancel-replay --replay-name {name}")
        return
    assert progress_of_replay is not None
    if progress_of_replay.state != "COMPLETED":
        raise OperatorError(f"Replay {name} ended as {progress_of_replay.state}: {progress_of_replay.reason}")
    console.print(f"Replay {name} is completed. Its events change only what was missing.")


@app.command()
def status(stage: StageName = LOCAL_STAGE) -> None:
    """One screen: stacks, events, dead letters, unfinished imports, alarms. Exit status 1 where something is wrong."""
    # The CDK's library takes seconds to load; only this command needs a setting of the stage.
    from infra.settings import settings_of  # noqa: PLC0415

    found = status_of(
        _stage(stage),
        read_activity=activity_in_logs if stage == LOCAL_STAGE else activity_in_metrics,
        unfinished_import_hours=settings_of(stage).unfinished_import_hours,
    )
    console.print(found.screen)
    if not found.healthy:
        raise typer.Exit(1)


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


def _queues(stage: Stage, name: str | None) -> list[DeadLetterQueue]:
    queues = dead_letter_queues(stage)
    named = [queue for queue in queues if name in {None, queue.name}]
    if not named:
        raise OperatorError(f"There is no queue {name}. There are: {', '.join(queue.name for queue in queues)}")
    return named


def _collect(letters: Iterator[DeadLetter], description: str) -> list[DeadLetter]:
    """All of `letters`, with progress; those until then when the operator stops it."""
    done: list[DeadLetter] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,.0f}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=None)
        try:
            for letter in letters:
                done.append(letter)
                progress.advance(task)
        except KeyboardInterrupt:
            console.print("Stopped. What was not dealt with is still in its queue.")
    return done


def _why_not_sent(left: list[DeadLetter]) -> Iterator[str]:
    """What a redrive did not send back, by error, and what to do about it."""
    for error, count in Counter(letter.error for letter in left).items():
        if error in REJECTED:
            advice = f"they fail again until the cause is gone; then --only {error}"
        elif error == MALFORMED:
            advice = f"look at them with --dry-run, remove them with --only {error} --export FILE --discard"
        else:
            advice = "not selected"
        yield f"Not sent back: {count} {error}: {advice}"


def _instant(option: str, written: str) -> datetime:
    try:
        return datetime.fromisoformat(parse_timestamp(written))
    except PydanticCustomError as error:
        raise OperatorError(f"{option} {error}. For example: 2026-11-01T08:00:00Z") from None


def _fail(message: str) -> None:
    Console(stderr=True).print(message, style="red", markup=False, highlight=False)
    sys.exit(1)
