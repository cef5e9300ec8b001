"""Canvas' documented example events, and the EventBridge and SQS envelopes around them."""

import copy
import json
from pathlib import Path
from typing import Any

from functions.routes import ROUTES

ROOT = Path(__file__).resolve().parents[1]
EVENT_NAMES = [route.event_name for route in ROUTES]

Message = dict[str, Any]


def example(event_name: str, *, metadata: Message | None = None, body: Message | None = None) -> Message:
    """Load the documented example of `event_name`, updated with `metadata` and `body`."""
    message: Message = json.loads((ROOT / "examples" / f"{event_name}.json").read_text())
    message["metadata"] |= metadata or {}
    message["body"] |= body or {}
    return message


def without(message: Message, *path: str) -> Message:
    """Copy `message` without the key at `path`."""
    message = copy.deepcopy(message)
    *parents, last = path
    holder = message
    for parent in parents:
        holder = holder[parent]
    del holder[last]
    return message


def on_the_bus(message: Any, event_name: str = "enrollment_created") -> Message:
    """Wrap `message` as the detail of an EventBridge event."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": event_name,
        "source": "canvas",
        "account": "123456789012",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": message,
    }


def sqs_batch(*bodies: str) -> Message:
    """Build the Lambda event of an SQS batch: messages `message-0`, `message-1`, … with `bodies`."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "handle",
                "body": body,
                "attributes": {},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def event_batch(*messages: Any, event_name: str) -> Message:
    """Build the Lambda event of the function of `event_name`: each Canvas message in an EventBridge event."""
    return sqs_batch(*(json.dumps(on_the_bus(message, event_name)) for message in messages))


def retried(response: Message) -> list[str]:
    """Ids of the messages in a partial batch response, which SQS delivers again."""
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
