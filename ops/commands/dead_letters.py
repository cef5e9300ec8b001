"""`ops redrive`: lists, redrives or exports dead-lettered messages."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ops.commands.at_stage import at_stage
from ops.commands.console import collect, console
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
from ops.redrive import export, selection
from ops.redrive import redrive as redrive_messages
from ops.stage import Stage


@at_stage
def redrive(
    stage: Stage,
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

    Rejected messages are sent only with --only RejectedEvent. Stop with Ctrl-C and repeat at any time: an event that is
    delivered again changes nothing.
    """
    if discard and export_to is None:
        raise OperatorError("--discard needs --export FILE: what is not written somewhere would be lost.")
    selected = selection(only) if only or not (dry_run or export_to) else lambda _: True
    with DeadLetterBatch(stage, _queues(stage, queue)) as batch:
        if dry_run:
            done = collect(
                (message for messages in batch.receive() for message in messages if selected(message)), "reading"
            )
        elif export_to is not None:
            done = collect(export(batch, selected, export_to, discard=discard), "exporting")
        else:
            done = collect(redrive_messages(stage, batch, selected, messages_per_second=rate), "sending back")
        left = list(batch.left.values())
    console.print(summary_table(done, now=datetime.now(UTC)))
    verb = "Found" if dry_run else f"Written to {export_to}" if export_to else "Sent back"
    console.print(f"{verb}: {len(done)}")
    if only and not done and left:
        console.print(f"None is {only}. There are: {', '.join(sorted({message.error for message in left}))}")
    newer = [message for message in left if batch.is_newer(message)]
    if newer:
        console.print(f"Dead-lettered since this command began: {len(newer)}. Run it again for these.")
    if not dry_run and export_to is None:
        for sentence in _why_not_sent([message for message in left if not selected(message)]):
            console.print(sentence)
    for name, count in batch.undelivered.items():
        console.print(
            f"SQS counts about {count} more in {name} and does not deliver them now. Run it again in a minute."
        )
    if batch.undelivered:
        raise typer.Exit(1)


def _queues(stage: Stage, name: str | None) -> list[DeadLetterQueue]:
    queues = dead_letter_queues(stage)
    named = [queue for queue in queues if name in {None, queue.name}]
    if not named:
        raise OperatorError(f"There is no queue {name}. There are: {', '.join(queue.name for queue in queues)}")
    return named


def _why_not_sent(left: list[DeadLetter]) -> Iterator[str]:
    """The messages that a redrive did not send back, by error, and what to do about them."""
    for error, count in Counter(message.error for message in left).items():
        if error in REJECTED:
            advice = f"they fail again until the cause is gone; then --only {error}"
        elif error == MALFORMED:
            advice = f"look at them with --dry-run, remove them with --only {error} --export FILE --discard"
        else:
            advice = "not selected"
        yield f"Not sent back: {count} {error}: {advice}"
