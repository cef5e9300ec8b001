"""Sends dead-lettered messages back to the queues in which they failed, or writes them to a file."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ops.dead_letters import MALFORMED, REJECTED, DeadLetter, DeadLetterBatch
from ops.failure import OperatorError
from ops.rate_limit import rate_limited
from ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

_MAX_REQUEST_BYTES = 1024 * 1024
"""Of one SendMessageBatch. Source: Amazon SQS API reference, "SendMessageBatch"."""

Selection = Callable[[DeadLetter], bool]


def selection(only: str | None) -> Selection:
    """The messages whose error is `only`; without it, those that may succeed now.

    What was rejected is rejected again until its cause is gone, and a malformed message stays malformed.
    """
    if only is None:
        return lambda letter: letter.error not in REJECTED | {MALFORMED}
    return lambda letter: letter.error == only


def redrive(
    stage: Stage, batch: DeadLetterBatch, selected: Selection, *, messages_per_second: float
) -> Iterator[DeadLetter]:
    """Send the selected messages back, and remove them as soon as they were accepted; yield each that was.

    Safe to stop at any moment and to repeat: at worst a message was accepted and is still in its dead-letter queue, and
    an event that is delivered again changes nothing. What is sent back carries no attributes.

    Raises:
        OperatorError: a queue does not accept a message.
    """
    sqs: SQSClient = stage.client("sqs")
    limit = rate_limited(messages_per_second)
    for letters in batch.receive():
        for group in _requests(list(filter(selected, letters))):
            for _ in group:
                next(limit)
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {"Id": str(number), "MessageBody": letter.body} for number, letter in enumerate(group)
            ]
            failed = sqs.send_message_batch(QueueUrl=group[0].queue.source_url, Entries=entries).get("Failed", [])
            refused = {int(failure["Id"]) for failure in failed}
            accepted = [letter for number, letter in enumerate(group) if number not in refused]
            batch.remove(accepted)
            yield from accepted
            if failed:
                raise OperatorError(
                    f"{len(failed)} messages of {group[0].queue.name} were not accepted ({failed[0]['Code']}). "
                    "They are still in their dead-letter queue; try again later."
                )


def export(batch: DeadLetterBatch, selected: Selection, file: Path, *, discard: bool) -> Iterator[DeadLetter]:
    """Write the selected messages to `file`, a line of JSON each; remove them from their queues if `discard`.

    The file holds what Canvas sent, personal data included: only its owner may read it.

    Raises:
        OperatorError: the file exists already.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise OperatorError(f"{file} exists already. Name a new file.") from None
    except OSError as error:
        raise OperatorError(f"{file} cannot be written ({error.strerror}). Name a file in a folder of yours.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as lines:
        for letters in batch.receive():
            chosen = list(filter(selected, letters))
            for letter in chosen:
                lines.write(json.dumps(_as_canvas_sent_it(letter)) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
            if discard:
                batch.remove(chosen)
            yield from chosen


def _requests(letters: list[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """`letters`, at most ten of one queue, in groups that one request takes each."""
    group: list[DeadLetter] = []
    size = 0
    for letter in letters:
        length = len(letter.body.encode())
        if group and size + length > _MAX_REQUEST_BYTES:
            yield group
            group, size = [], 0
        group.append(letter)
        size += length
    if group:
        yield group


def _as_canvas_sent_it(letter: DeadLetter) -> object:
    """The Canvas message, which `ops publish` can send again; the text of what is none."""
    try:
        message = json.loads(letter.body)
    except (ValueError, RecursionError):
        return letter.body
    if letter.queue.event_name is not None and isinstance(message, dict):
        return message.get("detail", message)
    return message
