"""Handles the failed messages of an SQS batch: dead-letters those that can never succeed, and retries the others.

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
"""Partial batch response. SQS delivers the messages in `batchItemFailures` again, and deletes all others."""

MAX_REQUEST_BYTES = 1024 * 1024
"""Size limit of a SendMessageBatch request. Source: Amazon SQS API reference, "SendMessageBatch"."""

_MAX_REASON_CHARACTERS = 1024
_ATTRIBUTE_BYTES = 64  # of the names and types of both attributes, and of the error


class Failures:
    """Failed messages of one batch."""

    def __init__(self) -> None:
        self._rejected: list[tuple[Message, SendMessageBatchRequestEntryTypeDef]] = []
        self._bytes = 0
        self._retried: list[tuple[Message, str]] = []

    def reject(self, message: Message, error: RejectedEvent) -> None:
        """Dead-letter `message`; where the request is full, retry it, so that a later batch dead-letters it."""
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
        """Have `message` delivered again. `error` is the kind of failure, for the log."""
        self._retried.append((message, error))

    def report(self) -> BatchResponse:
        """Send the rejected messages, count and log all failures, and return the messages to deliver again."""
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
        """Send the rejected messages in one request and return the reasons of those sent. The others are retried."""
        entries = [entry for _, entry in self._rejected]
        try:
            answer = _sqs().send_message_batch(QueueUrl=setting("DEAD_LETTER_QUEUE_URL"), Entries=entries)
            unsent = {failed["Id"]: failed["Code"] for failed in answer.get("Failed", [])}
        except Exception as error:  # noqa: BLE001  # retried and logged
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
    """The SQS client, created on first use: it costs the CPU time of 200 events, and few environments need it."""
    client: SQSClient = aws_client("sqs")
    return client
