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
"""Size limit of a SendMessageBatch request. Source: Amazon SQS API reference, "SendMessageBatch"."""

Selection = Callable[[DeadLetter], bool]


def selection(only: str | None) -> Selection:
    """Select the messages with the error `only`, by default those that may succeed now.

    A rejected message fails until the cause is removed, a malformed message always.
    """
    if only is None:
        return lambda message: message.error not in REJECTED | {MALFORMED}
    return lambda message: message.error == only


def redrive(
    stage: Stage, batch: DeadLetterBatch, selected: Selection, *, messages_per_second: float
) -> Iterator[DeadLetter]:
    """Send the selected messages back, without their attributes, and remove and yield those that were accepted.

    It can be stopped and repeated at any time: at worst, a message was accepted and is still in its dead-letter queue,
    and an event that is delivered again changes nothing.

    Raises:
        OperatorError: a queue does not accept a message.
    """
    sqs: SQSClient = stage.client("sqs")
    limit = rate_limited(messages_per_second)
    for messages in batch.receive():
        for group in _requests(list(filter(selected, messages))):
            for _ in group:
                next(limit)
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {"Id": str(number), "MessageBody": message.body} for number, message in enumerate(group)
            ]
            failed = sqs.send_message_batch(QueueUrl=group[0].queue.source_url, Entries=entries).get("Failed", [])
            refused = {int(failure["Id"]) for failure in failed}
            accepted = [message for number, message in enumerate(group) if number not in refused]
            batch.remove(accepted)
            yield from accepted
            if failed:
                raise OperatorError(
                    f"{len(failed)} messages of {group[0].queue.name} were not accepted ({failed[0]['Code']}). "
                    "They are still in their dead-letter queue; try again later."
                )


def export(batch: DeadLetterBatch, selected: Selection, file: Path, *, discard: bool) -> Iterator[DeadLetter]:
    """Write the selected messages to `file`, a line of JSON each; remove them from their queues if `discard`.

    The file contains personal data: only its owner may read it.

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
        for messages in batch.receive():
            chosen = list(filter(selected, messages))
            for message in chosen:
                lines.write(json.dumps(_as_canvas_sent_it(message)) + "\n")
            lines.flush()
            os.fsync(lines.fileno())
            if discard:
                batch.remove(chosen)
            yield from chosen


def _requests(messages: list[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """Group at most ten messages of one queue, so that each group fits one request."""
    group: list[DeadLetter] = []
    size = 0
    for message in messages:
        length = len(message.body.encode())
        if group and size + length > _MAX_REQUEST_BYTES:
            yield group
            group, size = [], 0
        group.append(message)
        size += length
    if group:
        yield group


def _as_canvas_sent_it(message: DeadLetter) -> object:
    """The Canvas message, which `ops publish` can send again, or the text where it is not JSON."""
    try:
        body = json.loads(message.body)
    except (ValueError, RecursionError):
        return message.body
    if message.queue.event_name is not None and isinstance(body, dict):
        return body.get("detail", body)
    return body
