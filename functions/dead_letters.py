"""Ends a batch of SQS messages: what can never succeed is dead-lettered, the rest of the failures is retried.

Used by the event functions and by the relay, which starts without pydantic.
"""

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

from functions.canvas.rejection import RejectedEvent
from functions.runtime import aws_client, count, error_name, logger, setting

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

Message = dict[str, Any]
"""An SQS message as an event source mapping delivers it: `messageId`, `body` and more."""

BatchResponse = dict[str, list[dict[str, str]]]
"""`batchItemFailures`: the messages that SQS delivers again. All others are deleted from the queue."""

MAX_REQUEST_BYTES = 1024 * 1024
"""Of one SendMessageBatch. Source: Amazon SQS API reference, "SendMessageBatch"."""

_MAX_REASON_CHARACTERS = 1024
_ATTRIBUTE_BYTES = 64  # of the names and types of both attributes, and of the error


class Failures:
    """The messages of one batch that were not done, and why."""

    def __init__(self) -> None:
        self._rejected: list[tuple[Message, SendMessageBatchRequestEntryTypeDef]] = []
        self._bytes = 0
        self._retried: list[tuple[Message, str]] = []

    def reject(self, message: Message, error: RejectedEvent) -> None:
        """Dead-letter `message`, which can never succeed; where the one request is full, when it is delivered again."""
        reason = str(error).encode("ascii", "replace").decode()[:_MAX_REASON_CHARACTERS]
        size = len(message["body"].encode(errors="surrogatepass")) + len(reason) + _ATTRIBUTE_BYTES
        if self._bytes + size > MAX_REQUEST_BYTES:
            self.retry(message, "DeadLetterRequestFull")
            return
        self._bytes += size
        entry: SendMessageBatchRequestEntryTypeDef = {
            "Id": str(len(self._rejected)),
            "MessageBody": message["body"],
            "MessageAttributes": {
                "error": {"DataType": "String", "StringValue": type(error).__name__},
                "reason": {"DataType": "String", "StringValue": reason},
            },
        }
        self._rejected.append((message, entry))

    def retry(self, message: Message, error: str) -> None:
        """Deliver `message` again, which may succeed later. `error` names the kind of failure."""
        self._retried.append((message, error))

    def report(self) -> BatchResponse:
        """Dead-letter what was rejected, count and log all failures, and name the messages to deliver again."""
        reasons = self._dead_letter() if self._rejected else Counter()
        if reasons:
            count("Rejected", reasons.total())
        if self._retried:
            count("Retried", len(self._retried))
        if reasons or self._retried:
            logger.error(
                "Messages failed; see docs/operations.md#failed-messages",
                rejected=reasons,
                retried=Counter(error for _, error in self._retried),
            )
        return {"batchItemFailures": [{"itemIdentifier": message["messageId"]} for message, _ in self._retried]}

    def _dead_letter(self) -> Counter[str]:
        """Send what was rejected in one request; the reasons of what was sent. The rest is delivered again."""
        entries = [entry for _, entry in self._rejected]
        try:
            answer = _sqs().send_message_batch(QueueUrl=setting("DEAD_LETTER_QUEUE_URL"), Entries=entries)
            unsent = {failed["Id"]: failed["Code"] for failed in answer.get("Failed", [])}
        except Exception as error:  # noqa: BLE001  # reported, as any failure of a write is
            unsent = {entry["Id"]: error_name(error) for entry in entries}
        reasons: Counter[str] = Counter()
        for message, entry in self._rejected:
            if entry["Id"] in unsent:
                self.retry(message, unsent[entry["Id"]])
            else:
                reasons[entry["MessageAttributes"]["reason"]["StringValue"]] += 1
        return reasons


@cache
def _sqs() -> "SQSClient":
    """Made when it is first needed: it costs as much CPU as two hundred events, and most environments reject none."""
    client: SQSClient = aws_client("sqs")
    return client
