"""An SQS that answers as AWS does where the emulators are kinder: it polls short, counts late and forgets receipts."""

import itertools
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any


@dataclass
class Message:
    """A message in a queue."""

    number: int
    body: str
    sent_at: datetime
    attributes: dict[str, str]
    moved: bool
    hidden_until: datetime
    receipt: str = ""


@dataclass
class StubbedSqs:
    """The part of the client that `ops` uses, over queues in memory and a clock of its own.

    A short poll asks one of several servers. The count of a queue is that of one poll ago. A receipt is good until the
    message is received again.

    Attributes:
        refused: the queues that refuse every message that is sent to them.
        late: how many long polls of a queue are answered with nothing although messages are there.
        deliver: takes what is sent one by one, with the queue's URL.
    """

    seed: int = 0
    now: datetime = datetime(2026, 11, 1, tzinfo=UTC)
    refused: set[str] = field(default_factory=set)
    late: int = 0
    queues: defaultdict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    requests: list[str] = field(default_factory=list)
    deliver: Callable[[str, str], None] | None = None

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._numbers = itertools.count(1)
        self._counted: dict[str, int] = {}

    def put(self, url: str, body: str, *, moved: bool = False, ago: float = 3600, **attributes: str) -> None:
        """Put a message into the queue `url`, sent `ago` seconds ago; `moved`: by SQS itself."""
        sent_at = self.now - timedelta(seconds=ago)
        self.queues[url].append(Message(next(self._numbers), body, sent_at, attributes, moved, self.now))

    def bodies(self, url: str) -> list[str]:
        """What can be received from the queue `url` now."""
        return [message.body for message in self._visible(url)]

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int, **options: Any) -> dict[str, Any]:  # noqa: N803
        self.requests.append("receive")
        self.now += timedelta(seconds=options.get("WaitTimeSeconds", 0) or 0.1)
        visible = self._visible(QueueUrl)
        if not options.get("WaitTimeSeconds"):
            visible = [message for message in visible if self._rng.random() < 0.2]
        elif visible and self.late:
            self.late -= 1
            visible = []
        messages = visible[:MaxNumberOfMessages]
        for message in messages:
            message.hidden_until = self.now + timedelta(seconds=options["VisibilityTimeout"])
            message.receipt = f"{message.number}-{next(self._numbers)}"
        return {"Messages": [self._received(message) for message in messages]} if messages else {}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:  # noqa: N803
        before = self._counted.get(QueueUrl, len(self._visible(QueueUrl)))
        self._counted[QueueUrl] = len(self._visible(QueueUrl))
        return {
            "Attributes": {
                name: str(len(self.queues[QueueUrl]) - before if name.endswith("NotVisible") else before)
                for name in AttributeNames
            },
            "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(self.now, usegmt=True)}},
        }

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.requests.append("delete")
        by_receipt = {message.receipt: message for message in self.queues[QueueUrl]}
        failed = []
        for entry in Entries:
            if message := by_receipt.get(entry["ReceiptHandle"]):
                self.queues[QueueUrl].remove(message)
            else:
                failed.append({"Id": entry["Id"], "Code": "ReceiptHandleIsInvalid"})
        return {"Failed": failed} if failed else {}

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.requests.append("release")
        by_receipt = {message.receipt: message for message in self.queues[QueueUrl]}
        failed = []
        for entry in Entries:
            message = by_receipt.get(entry["ReceiptHandle"])
            if message is None or message.hidden_until <= self.now:
                failed.append({"Id": entry["Id"], "Code": "MessageNotInflight"})
            else:
                message.hidden_until = self.now + timedelta(seconds=entry["VisibilityTimeout"])
        return {"Failed": failed} if failed else {}

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> dict[str, Any]:  # noqa: N803
        assert self.deliver is not None
        self.deliver(QueueUrl, MessageBody)
        return {}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.requests.append("send")
        assert len(Entries) <= 10
        assert sum(len(entry["MessageBody"].encode()) for entry in Entries) <= 1024 * 1024
        if QueueUrl in self.refused:
            return {"Failed": [{"Id": entry["Id"], "Code": "InternalError"} for entry in Entries]}
        for entry in Entries:
            assert "MessageAttributes" not in entry
            self.put(QueueUrl, entry["MessageBody"], ago=0)
        return {}

    def _visible(self, url: str) -> list[Message]:
        return [message for message in self.queues[url] if message.hidden_until <= self.now]

    @staticmethod
    def _received(message: Message) -> dict[str, Any]:
        system = {"SentTimestamp": str(int(message.sent_at.timestamp() * 1000))}
        if message.moved:
            system["DeadLetterQueueSourceArn"] = "arn:aws:sqs:us-east-1:123456789012:queue"
        answer = {
            "MessageId": f"id-{message.number}",
            "ReceiptHandle": message.receipt,
            "Body": message.body,
            "Attributes": system,
        }
        if message.attributes:
            answer["MessageAttributes"] = {
                name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()
            }
        return answer
