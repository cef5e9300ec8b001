"""The relay: takes batches from the front-door queue and puts them on the bus."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from functions.aws import client
from functions.canvas.envelope import UnreadableMessage
from functions.relay.forwarding import entry_of, requests
from functions.routes import EVENT_NAMES
from functions.runtime import logger, metrics, setting

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

_events = client("events")
_event_bus = setting("EVENT_BUS")
_forwards_all = setting("FORWARD_ALL_EVENTS") == "true"


@logger.inject_lambda_context
@metrics.log_metrics
def handler(batch: dict[str, Any], _context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """Forward a batch of at most ten SQS messages.

    Returns:
        `batchItemFailures`: exactly the messages that are not on the bus and should be. SQS delivers them again, and
        after the queue's limit moves them to the front door's dead-letter queue.
    """
    forwardable, failed = _read(batch["Records"])
    for group in requests(forwardable):
        failed += _forward(group)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _read(
    records: list[dict[str, Any]],
) -> tuple[list[tuple[str, "PutEventsRequestEntryTypeDef"]], list[str]]:
    """The entries to forward, and the ids of the messages that cannot be read."""
    forwardable = []
    unreadable = []
    for record in records:
        message_id = record["messageId"]
        try:
            entry = entry_of(record["body"], event_bus=_event_bus)
        except UnreadableMessage as error:
            _count("Unreadable")
            logger.error(
                f"Front-door message {error}; see docs/operations.md#unreadable-messages", message_id=message_id
            )
            unreadable.append(message_id)
            continue
        if _forwards_all or entry["DetailType"] in EVENT_NAMES:
            forwardable.append((message_id, entry))
        else:
            _count("Ignored")
    return forwardable, unreadable


def _forward(group: list[tuple[str, "PutEventsRequestEntryTypeDef"]]) -> list[str]:
    """Put `group` on the bus in one call; the ids of the messages that the bus did not take."""
    try:
        results = _events.put_events(Entries=[entry for _, entry in group])["Entries"]
    except ClientError as error:
        # Nothing is swallowed, here and below: the queue delivers these messages again, and only these.
        results = [{"ErrorCode": error.response["Error"]["Code"]}] * len(group)
    except BotoCoreError as error:
        results = [{"ErrorCode": type(error).__name__}] * len(group)
    failed = []
    for (message_id, _), result in zip(group, results, strict=True):
        if "ErrorCode" not in result:
            _count("Forwarded")
            continue
        _count("ForwardFailed")
        logger.error("The bus did not take an event", message_id=message_id, error_code=result["ErrorCode"])
        failed.append(message_id)
    return failed


def _count(name: str) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
