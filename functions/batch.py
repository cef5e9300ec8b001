"""Builds the Lambda handler of one event type: parse, validate, write, record metrics."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydynox import DynamoDBClient

from functions.canvas.event import EventT, parse_event, reject_future
from functions.canvas.rejection import RejectedEvent
from functions.dead_letters import BatchResponse, Failures, Message
from functions.projection.change import Change, Outcome
from functions.projection.table import Table
from functions.routes import ROUTE_OF, SOURCE
from functions.runtime import ATTEMPTS, CONNECT_SECONDS, READ_SECONDS, count, error_name, logger, metrics, setting

# It would log the keys of items, every write, and every call over 100 ms.
logging.getLogger("pydynox").setLevel(logging.ERROR)

_dynamodb = DynamoDBClient(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, max_retries=ATTEMPTS)

# For all writes of a batch. The client's own timeouts end two writes without an answer in 18 s, but no stalled answer.
_WRITE_SECONDS = 20

# A full batch takes the time of one write. Threads need fewer instructions than asyncio (docs/adr/0008). A write that
# is over time may still be applied: the message is retried, and then is a duplicate.
_threads = ThreadPoolExecutor(max_workers=10)


def batch_handler(
    model: type[EventT], *, to_change: Callable[[EventT], Change]
) -> Callable[[dict[str, Any], LambdaContext], BatchResponse]:
    """Build the Lambda handler for batches of the event of `model`; `to_change` computes the change of an event.

    The messages of a batch are written concurrently. Each ends in one of three ways, independently of the others: done
    (applied, duplicate or stale), dead-lettered because it can never succeed, or reported for retry.
    """
    event_name = model.event_name
    table = Table(_dynamodb, setting(ROUTE_OF[event_name].table_variable))
    future_tolerance = timedelta(minutes=float(setting("FUTURE_TOLERANCE_MINUTES")))

    def write(message: Message) -> tuple[EventT, Change, Outcome]:
        event = parse_event(message["body"], model)
        reject_future(event, now=datetime.now(UTC), tolerance=future_tolerance)
        change = to_change(event)
        return event, change, table.apply(change)

    def record(event: EventT, change: Change, outcome: Outcome) -> None:
        count(outcome)
        if event.source == SOURCE:  # a correction has the time of what it corrects
            # Never negative, or CloudWatch has no percentiles (user guide, "Percentiles").
            lag = max(0, (datetime.now(UTC) - event.instant) // timedelta(milliseconds=1))
            metrics.add_metric(name="EventLag", unit=MetricUnit.Milliseconds, value=lag)
        if not change.state_is_known:
            count("UnknownState")
        logger.debug(outcome, correlation_id=event.id, key=change.key, version=change.version)

    @metrics.log_metrics
    def handler(batch: dict[str, Any], _context: LambdaContext) -> BatchResponse:
        metrics.add_dimension(name="event_name", value=event_name)
        failures = Failures()
        deadline = time.monotonic() + _WRITE_SECONDS
        writes = [(message, _threads.submit(write, message)) for message in batch["Records"]]
        for message, written in writes:
            try:
                # In the thread of the handler: the metrics of Powertools are not safe in others.
                record(*written.result(timeout=max(0, deadline - time.monotonic())))
            except RejectedEvent as error:
                failures.reject(message, error)
            except BaseException as error:  # noqa: BLE001  # a panic of the Rust core is one
                failures.retry(message, error_name(error))
        return failures.report()

    return handler
