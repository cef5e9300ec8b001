"""Reads the dead-letter queues of a stage."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from rich.table import Table

from functions.canvas.envelope import read_message
from functions.canvas.rejection import RejectedEvent, UnreadableMessage
from functions.routes import ROUTES
from ops.failure import OperatorError
from ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

REJECTED = frozenset({RejectedEvent.__name__, UnreadableMessage.__name__})
"""Errors of messages that can never succeed."""

RETRIES_EXHAUSTED = "RetriesExhausted"
MALFORMED = "Malformed"

BATCH_SIZE = 10
_HIDDEN_SECONDS = 15 * 60
_WAIT_SECONDS = 1
_EMPTY_ANSWERS = 3
_MOST_CONTRADICTIONS = 120 // _WAIT_SECONDS
_SUFFIX = "DeadLetters"


@dataclass(frozen=True)
class DeadLetterQueue:
    """A dead-letter queue: its name, its URL, and the URL of its source queue."""

    name: str
    url: str
    source_url: str

    @property
    def event_name(self) -> str | None:
        """The Canvas event of its messages, `None` of the dead-letter queue of ingestion."""
        construct_id = self.name.removesuffix(_SUFFIX)
        return next((route.event_name for route in ROUTES if route.construct_id == construct_id), None)


@dataclass(frozen=True)
class DeadLetter:
    """A dead-lettered message.

    Attributes:
        queue: the dead-letter queue.
        message_id: its id in SQS.
        receipt: the handle that deletes it, or makes it visible again.
        error: the kind of failure, such as `RejectedEvent` or an error code of EventBridge.
        reason: a sentence without values of the message.
        sent_at: when it was sent to the queue, or for a message that SQS moved, when it was first sent.
        body: the EventBridge event, or the ingestion message as Canvas sent it.
    """

    queue: DeadLetterQueue
    message_id: str
    receipt: str
    error: str
    reason: str
    sent_at: datetime
    body: str


def dead_letter_queues(stage: Stage) -> list[DeadLetterQueue]:
    """The dead-letter queues of `stage`, by name."""
    return [
        DeadLetterQueue(name, url, stage.queues[f"{name.removesuffix(_SUFFIX)}Queue"])
        for name, url in sorted(stage.queues.items())
        if name.endswith(_SUFFIX)
    ]


def count_dead_letters(stage: Stage, queues: Iterable[DeadLetterQueue]) -> dict[str, int]:
    """The approximate number of visible messages in each of `queues`, by the queue's name."""
    sqs: SQSClient = stage.client("sqs")
    queues = list(queues)
    with ThreadPoolExecutor(len(queues)) as pool:
        return dict(zip((queue.name for queue in queues), pool.map(partial(_visible, sqs), queues), strict=True))


class DeadLetterBatch:
    """A context in which dead-lettered messages of some queues are received, and hidden from other consumers.

    When it ends, messages that were received and not removed are made visible again.

    Attributes:
        left: the messages that were received and not removed, by message id.
        undelivered: how many messages SQS counts in a queue and does not deliver, by the queue's name.
    """

    def __init__(self, stage: Stage, queues: Iterable[DeadLetterQueue]) -> None:
        self._sqs: SQSClient = stage.client("sqs")
        self._queues = list(queues)
        self._began = _time_at_sqs(self._sqs, self._queues[0])
        self.left: dict[str, DeadLetter] = {}
        self.undelivered: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for queue, messages in _by_queue(self.left.values()):
            entries = [
                {"Id": str(number), "ReceiptHandle": message.receipt, "VisibilityTimeout": 0}
                for number, message in enumerate(messages)
            ]
            # Entries that fail are visible already: their visibility timeout has passed.
            self._sqs.change_message_visibility_batch(QueueUrl=queue.url, Entries=entries)  # type: ignore[arg-type]

    def receive(self) -> Iterator[list[DeadLetter]]:
        """Yield the messages that were in the queues at the beginning, at most ten of one queue at a time.

        A queue is empty after several empty answers to long polls, if its message count, which can lag by minutes, is 0
        as well. Messages that are counted for two minutes and not delivered are `undelivered`. Source: Amazon SQS
        developer guide, "Short and long polling" and "Confirming that a queue is empty".
        """
        empty, contradictions = Counter[DeadLetterQueue](), Counter[DeadLetterQueue]()
        with ThreadPoolExecutor(len(self._queues)) as pool:
            while asked := [queue for queue in self._queues if empty[queue] < _EMPTY_ANSWERS]:
                for queue, new, undelivered in self._hold(asked, list(pool.map(self._poll, asked))):
                    messages = [message for message in new if not self.is_newer(message)]
                    if messages:
                        empty[queue] = contradictions[queue] = 0
                        yield messages
                    elif not undelivered:
                        empty[queue] += 1
                    elif contradictions[queue] < _MOST_CONTRADICTIONS:
                        contradictions[queue] += 1
                    else:
                        self.undelivered[queue.name] = undelivered
                        empty[queue] = _EMPTY_ANSWERS

    def is_newer(self, message: DeadLetter) -> bool:
        """Whether `message` was dead-lettered after the beginning, perhaps since it was sent back and failed again."""
        return message.sent_at > self._began

    def remove(self, messages: Iterable[DeadLetter]) -> None:
        """Delete `messages` from their queues."""
        for queue, group in _by_queue(messages):
            entries = [{"Id": str(number), "ReceiptHandle": message.receipt} for number, message in enumerate(group)]
            failed = self._sqs.delete_message_batch(QueueUrl=queue.url, Entries=entries).get("Failed", [])  # type: ignore[arg-type]
            # An expired receipt does no harm: the message is delivered again, and changes nothing.
            errors = {failure["Code"] for failure in failed if "ReceiptHandle" not in failure["Code"]}
            if errors:
                raise OperatorError(f"SQS did not delete messages of {queue.name} ({', '.join(errors)}). Try again.")
            for message in group:
                self.left.pop(message.message_id, None)

    def _poll(self, queue: DeadLetterQueue) -> tuple[list[DeadLetter], int]:
        """Receive at most ten messages of `queue`; where it delivers none, return its message count."""
        messages = self._sqs.receive_message(
            QueueUrl=queue.url,
            MaxNumberOfMessages=BATCH_SIZE,
            WaitTimeSeconds=_WAIT_SECONDS,
            VisibilityTimeout=_HIDDEN_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages", [])
        return [_read(queue, message) for message in messages], 0 if messages else _visible(self._sqs, queue)

    def _hold(
        self, queues: list[DeadLetterQueue], answers: list[tuple[list[DeadLetter], int]]
    ) -> list[tuple[DeadLetterQueue, list[DeadLetter], int]]:
        """Record all messages received before any is yielded; return the new ones of each queue."""
        held = set(self.left)
        for received, _ in answers:
            self.left |= {message.message_id: message for message in received}
        return [
            (queue, [message for message in received if message.message_id not in held], undelivered)
            for queue, (received, undelivered) in zip(queues, answers, strict=True)
        ]


def summary_table(messages: Iterable[DeadLetter], *, now: datetime) -> Table:
    """A table of messages by queue, error and reason, with the ages of the oldest and the newest."""
    groups: defaultdict[tuple[str, str, str], list[DeadLetter]] = defaultdict(list)
    for message in messages:
        groups[message.queue.name, message.error, message.reason].append(message)
    table = Table(title="Dead-lettered messages", title_justify="left")
    for column in ("dead-letter queue", "error", "reason"):
        table.add_column(column, overflow="fold")
    for column in ("messages", "oldest", "newest"):
        table.add_column(column, justify="right")
    for (queue, error, reason), group in sorted(groups.items()):
        times = [message.sent_at for message in group]
        table.add_row(queue, error, reason, str(len(group)), _age(now - min(times)), _age(now - max(times)))
    return table


def _time_at_sqs(sqs: "SQSClient", queue: DeadLetterQueue) -> datetime:
    """The end of the current second by the clock of SQS, which stamps the messages."""
    answer = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]) + timedelta(seconds=1)


def _visible(sqs: "SQSClient", queue: DeadLetterQueue) -> int:
    count: Final = "ApproximateNumberOfMessages"
    return int(sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=[count])["Attributes"][count])


def _by_queue(messages: Iterable[DeadLetter]) -> Iterator[tuple[DeadLetterQueue, list[DeadLetter]]]:
    """Group messages by queue, at most ten in a group, the limit of a batch request."""
    groups: defaultdict[DeadLetterQueue, list[DeadLetter]] = defaultdict(list)
    for message in messages:
        groups[message.queue].append(message)
    for queue, group in groups.items():
        for start in range(0, len(group), BATCH_SIZE):
            yield queue, group[start : start + BATCH_SIZE]


def _read(queue: DeadLetterQueue, message: "MessageTypeDef") -> DeadLetter:
    error, reason = _failure(queue, message)
    return DeadLetter(
        queue=queue,
        message_id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        error=error,
        reason=reason,
        sent_at=datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC),
        body=message["Body"],
    )


def _failure(queue: DeadLetterQueue, message: "MessageTypeDef") -> tuple[str, str]:
    """The kind of failure and its reason, from the attributes that the function, EventBridge or SQS has set."""
    attributes = {
        name: attribute.get("StringValue", "") for name, attribute in message.get("MessageAttributes", {}).items()
    }
    if "error" in attributes:  # a function
        return attributes["error"], attributes.get("reason", "")
    if queue.event_name is not None and not _is_event(message["Body"], queue.event_name):
        return MALFORMED, f"message {message['MessageId']} is no {queue.event_name} event"
    if "ERROR_CODE" in attributes:  # EventBridge
        return attributes["ERROR_CODE"], attributes.get("ERROR_MESSAGE", "")
    if "DeadLetterQueueSourceArn" in message["Attributes"]:  # SQS
        unreadable = _why_unreadable(message["Body"]) if queue.event_name is None else None
        return RETRIES_EXHAUSTED, unreadable or "the log of its function names the errors"
    return MALFORMED, f"message {message['MessageId']} was not sent by this project"


def _why_unreadable(body: str) -> str | None:
    """Why the relay cannot read an ingestion message, `None` where it can."""
    try:
        read_message(body)
    except UnreadableMessage as error:
        return str(error)
    except RecursionError:
        return "the message is nested too deeply to be read"
    return None


def _is_event(body: str, event_name: str) -> bool:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(event, dict) and event.get("detail-type") == event_name and "detail" in event


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"
