"""What lies in the dead-letter queues of a stage, and why."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

FRONT_DOOR = "FrontDoor"
UNKNOWN_ERROR = "Unknown"

_HIDDEN_SECONDS = 15 * 60
_BATCH = 10
_WRITE_FAILED = re.compile(r"(\w+Exception): DynamoDB did not take a write")
_REJECTED = "#rejected-events"
_TIMED_OUT = "Task timed out"


@dataclass(frozen=True)
class Queue:
    """A dead-letter queue: the logical id of its stack resource, without the hash, and its URL."""

    name: str
    url: str


@dataclass(frozen=True)
class DeadLetter:
    """A message that was given up.

    Attributes:
        queue: where it lies.
        receipt: what deletes it, or shows it again.
        error: the kind of failure: `RejectedEvent`, an AWS error code, `Timeout`, or `Unknown`.
        given_up: when it came into the queue.
        event: the event as the bus delivered it; `None` for a front-door message, which never was on the bus.
        body: a front-door message as Canvas sent it, secrets and all.
    """

    queue: Queue
    receipt: str
    error: str
    given_up: datetime
    event: dict[str, Any] | None
    body: str


def dead_letter_queues(stage: Stage) -> list[Queue]:
    """The dead-letter queues of `stage`, by name."""
    queues = stage.resources("processing", "AWS::SQS::Queue")
    return sorted(
        (
            Queue(re.sub(r"[0-9A-F]{8}$", "", logical_id), url)
            for logical_id, url in queues.items()
            if "DeadLetters" in logical_id
        ),
        key=lambda queue: queue.name,
    )


def count_dead_letters(stage: Stage, queues: Iterable[Queue]) -> dict[str, int]:
    """The approximate number of messages in each of `queues`, by the queue's name."""
    sqs: SQSClient = stage.client("sqs")
    counted: Final = "ApproximateNumberOfMessages"
    return {
        queue.name: int(sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=[counted])["Attributes"][counted])
        for queue in queues
    }


def receive(stage: Stage, queues: Iterable[Queue]) -> Iterator[list[DeadLetter]]:
    """Everything in `queues`, in batches of at most ten of one queue. What is received is hidden for a quarter hour."""
    sqs: SQSClient = stage.client("sqs")
    for queue in queues:
        while True:
            messages = sqs.receive_message(
                QueueUrl=queue.url,
                MaxNumberOfMessages=_BATCH,
                VisibilityTimeout=_HIDDEN_SECONDS,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["SentTimestamp"],
            ).get("Messages", [])
            if not messages:
                break
            yield [_read(queue, message) for message in messages]


def delete(stage: Stage, letters: Iterable[DeadLetter]) -> None:
    """Remove `letters` for good."""
    sqs: SQSClient = stage.client("sqs")
    for letter in letters:
        sqs.delete_message(QueueUrl=letter.queue.url, ReceiptHandle=letter.receipt)


def release(stage: Stage, letters: Iterable[DeadLetter]) -> None:
    """Show `letters` again to whoever receives next."""
    sqs: SQSClient = stage.client("sqs")
    for letter in letters:
        sqs.change_message_visibility(QueueUrl=letter.queue.url, ReceiptHandle=letter.receipt, VisibilityTimeout=0)


def summary_table(letters: Iterable[DeadLetter], *, now: datetime) -> Table:
    """`letters`, grouped by queue and error, with the ages of the oldest and the newest."""
    groups: defaultdict[tuple[str, str], list[DeadLetter]] = defaultdict(list)
    for letter in letters:
        groups[letter.queue.name, letter.error].append(letter)
    table = Table("dead-letter queue", "error", title="Dead letters", title_justify="left")
    for column in ("messages", "oldest", "newest"):
        table.add_column(column, justify="right")
    for (queue, error), group in sorted(groups.items()):
        times = [letter.given_up for letter in group]
        table.add_row(queue, error, str(len(group)), _age(now - min(times)), _age(now - max(times)))
    return table


def _read(queue: Queue, message: "MessageTypeDef") -> DeadLetter:
    body = message["Body"]
    event = None if queue.name.startswith(FRONT_DOOR) else _decoded(body)
    reason = " ".join(
        attribute.get("StringValue", "") for attribute in (message.get("MessageAttributes") or {}).values()
    )
    if event is not None and "requestPayload" in event:
        # The emulator sends what Lambda sends to an on-failure destination.
        reason = str((event.get("responsePayload") or {}).get("errorMessage", ""))
        event = event["requestPayload"]
    return DeadLetter(
        queue=queue,
        receipt=message["ReceiptHandle"],
        error=_kind(reason, message.get("MessageAttributes") or {}),
        given_up=datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC),
        event=event,
        body=body,
    )


def _kind(reason: str, attributes: Mapping[str, Any]) -> str:
    """The kind of failure, as far as a dead letter tells. Never its text: that may quote the event."""
    if "ERROR_CODE" in attributes:  # EventBridge could not invoke the function
        return str(attributes["ERROR_CODE"].get("StringValue", UNKNOWN_ERROR))
    if _REJECTED in reason:
        return "RejectedEvent"
    if _TIMED_OUT in reason:
        return "Timeout"
    refused = _WRITE_FAILED.search(reason)
    return refused[1] if refused else UNKNOWN_ERROR


def _decoded(body: str) -> dict[str, Any] | None:
    try:
        decoded = json.loads(body)
    except json.JSONDecodeError:
        return None
    return decoded if isinstance(decoded, dict) else None


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"
