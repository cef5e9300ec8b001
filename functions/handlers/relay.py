"""Handler of the relay: forwards Canvas messages from the ingestion queue to the event bus."""

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from functions.canvas.envelope import Envelope, read_message
from functions.canvas.ids import id_text, shard_of
from functions.canvas.rejection import UnreadableMessage
from functions.dead_letters import BatchResponse, Failures, Message
from functions.routes import EVENT_NAMES, SOURCE
from functions.runtime import aws_client, count, error_name, metrics, setting

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

FORWARDED_METADATA = ("event_name", "event_time", "root_account_id", "producer", "request_id", "job_id")
"""Metadata keys that identify, order and trace an event. Others are dropped: they hold tokens, logins and addresses."""

MAX_EVENT_BYTES = 24 * 1024
"""Ten events fit one PutEvents request of 256 KB. Source: EventBridge user guide, "PutEvents event entry size"."""

_events = aws_client("events")
_event_bus = setting("EVENT_BUS")
_shards = {shard_of(root_account_id) for root_account_id in setting("ROOT_ACCOUNT_IDS").split()}


@metrics.log_metrics
def handler(batch: dict[str, Any], _context: LambdaContext) -> BatchResponse:
    """Forward a batch of at most ten SQS messages in one PutEvents request."""
    failures = Failures()
    entries = []
    for message in batch["Records"]:
        try:
            envelope = read_message(message["body"])
            if envelope.event_name not in EVENT_NAMES:
                count("Ignored")
            elif _is_foreign(envelope):
                count("Foreign")
            else:
                entries.append((message, _entry(envelope)))
        except UnreadableMessage as error:
            failures.reject(message, error)
        except RecursionError:
            failures.reject(message, UnreadableMessage("the message is nested too deeply to be read"))
        except Exception as error:  # noqa: BLE001  # retried and logged; the other messages are forwarded
            failures.retry(message, error_name(error))
    if entries:
        _forward(entries, failures)
    return failures.report()


def _is_foreign(envelope: Envelope) -> bool:
    """Whether the event is of another shard than the schools of the stage. Without a root account it is not foreign.

    Compares shards, not root accounts: job events carry the default account of the shard, whatever their school.
    """
    root_account_id = id_text(envelope.metadata.get("root_account_id"))
    return bool(_shards) and root_account_id is not None and shard_of(root_account_id) not in _shards


def _entry(envelope: Envelope) -> "PutEventsRequestEntryTypeDef":
    """Build the PutEvents entry of a message, without the metadata of persons and sessions.

    Raises:
        UnreadableMessage: the event is too large, or contains a number that JSON cannot represent.
    """
    metadata = {name: envelope.metadata[name] for name in FORWARDED_METADATA if name in envelope.metadata}
    try:
        detail = json.dumps({"metadata": metadata, "body": envelope.body}, allow_nan=False)
    except ValueError:
        raise UnreadableMessage("the message holds a number that is not JSON (NaN, Infinity or too large)") from None
    if len(detail) > MAX_EVENT_BYTES:  # in ASCII, so its characters are its bytes
        raise UnreadableMessage(f"the message is larger than the {MAX_EVENT_BYTES} bytes that an event may have")
    return {"EventBusName": _event_bus, "Source": SOURCE, "DetailType": metadata["event_name"], "Detail": detail}


def _forward(entries: list[tuple[Message, "PutEventsRequestEntryTypeDef"]], failures: Failures) -> None:
    """Publish `entries` in one PutEvents request, and retry those that the event bus does not accept."""
    try:
        results = _events.put_events(Entries=[entry for _, entry in entries])["Entries"]
    except (BotoCoreError, ClientError) as error:
        results = [{"ErrorCode": error_name(error)}] * len(entries)
    for (message, _), result in zip(entries, results, strict=True):
        code = result.get("ErrorCode")
        if code is None:
            count("Forwarded")
        elif code == "MalformedDetail":  # "non-retryable": EventBridge API reference, "PutEventsResultEntry"
            failures.reject(message, UnreadableMessage("the event bus cannot read the message"))
        else:
            failures.retry(message, code)
