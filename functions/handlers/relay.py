"""Handler of the relay: forwards Canvas' messages from the ingestion queue to the event bus."""

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
"""What places, orders and traces an event. The rest of the metadata has URLs with tokens, logins and addresses."""

MAX_EVENT_BYTES = 24 * 1024
"""Ten such entries fit one PutEvents request of 256 KB (EventBridge user guide, "PutEvents event entry size")."""

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
        except Exception as error:  # noqa: BLE001  # reported, and no other message is disturbed
            failures.retry(message, error_name(error))
    if entries:
        _forward(entries, failures)
    return failures.report()


def _is_foreign(envelope: Envelope) -> bool:
    """Whether the event is of a shard that none of the stage's schools is on. One without root account is ours.

    Not by the root account itself: events of jobs carry the shard's default account, whichever school they concern.
    """
    root_account_id = id_text(envelope.metadata.get("root_account_id"))
    return bool(_shards) and root_account_id is not None and shard_of(root_account_id) not in _shards


def _entry(envelope: Envelope) -> "PutEventsRequestEntryTypeDef":
    """The entry that says on the bus what Canvas said, without what the metadata holds of persons and sessions.

    Raises:
        UnreadableMessage: larger than an event may be, or with a number that JSON cannot hold.
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
    """Put `entries` on the bus in one request; what the bus does not accept is retried."""
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
