"""Reads items of a table by their keys, with eventually consistent reads at half the price.

A stale item does no harm. A row that differs from it becomes a correction, which the guarded write rejects where the
item is newer. A row that equals it is compared again by every run of the next `window_days`.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from functions.projection.change import AttributeValue
from functions.runtime import error_name
from reconciliation.aws import aws_client
from reconciliation.failure import TemporaryFailure

Item = dict[str, AttributeValue]

KEYS_PER_REQUEST = 100
"""Limit of a BatchGetItem request. Source: DynamoDB API reference, "BatchGetItem"."""

_THROTTLED = frozenset({"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"})

_ATTEMPTS = 10
_LONGEST_WAIT_SECONDS = 10.0


def read_items(table: str, keys: Sequence[Item], attributes: Sequence[str]) -> Iterator[Item]:
    """The items of `table` that exist under `keys`, at most 100 and each once, in any order.

    Raises:
        TemporaryFailure: the table is throttled, and the retries are exhausted.
    """
    placeholders = [f"#{number}" for number in range(len(attributes))]
    unprocessed: dict[str, Any] = {
        table: {
            "Keys": [_serialised(key) for key in keys],
            # `type` and `state` are reserved words, so names need placeholders.
            "ExpressionAttributeNames": dict(zip(placeholders, attributes, strict=True)),
            "ProjectionExpression": ", ".join(placeholders),
        }
    }
    attempts_without_progress = 0
    while True:
        left = len(unprocessed[table]["Keys"])
        found, unprocessed = _request(table, unprocessed)
        yield from map(_deserialised, found)
        if not unprocessed:
            return
        attempts_without_progress += 1
        if len(unprocessed[table]["Keys"]) < left:
            attempts_without_progress = 0
        elif attempts_without_progress == _ATTEMPTS:
            raise TemporaryFailure(f"DynamoDB does not read table {table}: it is throttled. Try again later.")
        # Jitter keeps the workers from retrying at the same time.
        _sleep(random.uniform(0, min(_LONGEST_WAIT_SECONDS, 0.05 * 2**attempts_without_progress)))  # noqa: S311


def _request(table: str, requested: dict[str, Any]) -> tuple[Sequence[Mapping[str, Any]], dict[str, Any]]:
    """Send one request; return the items found, and the unprocessed part of the request.

    Where DynamoDB can process no key, it rejects the request. Source: DynamoDB API reference, "BatchGetItem".
    """
    try:
        answer = aws_client("dynamodb").batch_get_item(RequestItems=requested)
    except ClientError as error:
        if error_name(error) not in _THROTTLED:
            raise
        return (), requested
    return answer["Responses"].get(table, ()), answer.get("UnprocessedKeys") or {}


def item_count(table: str) -> int:
    """The number of items in `table`, as counted by DynamoDB up to six hours ago."""
    count: int = aws_client("dynamodb").describe_table(TableName=table)["Table"]["ItemCount"]
    return count


def _serialised(key: Item) -> dict[str, dict[str, str]]:
    return {name: {"N" if isinstance(value, int) else "S": str(value)} for name, value in key.items()}


def _deserialised(item: Mapping[str, Mapping[str, Any]]) -> Item:
    return {name: _value(*content.items()) for name, content in item.items()}


def _value(content: tuple[str, Any]) -> AttributeValue:
    kind, value = content
    if kind == "N":
        return int(value)
    assert kind in ("S", "BOOL"), kind
    plain: AttributeValue = value
    return plain


# Replaced in tests.
_sleep = time.sleep
