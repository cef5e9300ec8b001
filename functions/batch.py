"""Builds the Lambda handler of one event type: parse, validate, write, record metrics."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydynox import DynamoDBClient

from functions.canvas.event import EventT, parse_event, reject_future
from functions.canvas.rejection import RejectedEvent
from functions.dead_letters import BatchResponse, Failures, Message
from functions.projection.change import Change
from functions.projection.table import Table
from functions.routes import ROUTE_OF, SOURCE
from functions.runtime import ATTEMPTS, CONNECT_SECONDS, READ_SECONDS, count, error_name, logger, metrics, setting

# It would log the keys of items, every write, and every call over 100 ms.
logging.getLogger("pydynox").setLevel(logging.ERROR)

_dynamodb = DynamoDBClient(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, max_retries=ATTEMPTS)

# Both writes of a stale import without an answer end in 18 s by themselves; not so where the answers stall half-way.
_WRITE_SECONDS = 20

# One event loop for all invocations of an environment: the client's connections outlive each of them.
_loop = asyncio.Runner()


def batch_handler(
    model: type[EventT], *, to_change: Callable[[EventT], Change]
) -> Callable[[dict[str, Any], LambdaContext], BatchResponse]:
    """The Lambda handler of batches of the event that `model` describes; `to_change` says what an event changes.

    The messages of a batch are written concurrently. Each ends in one of three ways, whatever becomes of the others:
    done (applied, duplicate or stale), dead-lettered because it can never succeed, or reported for retry.
    """
    event_name = model.event_name
    table = Table(_dynamodb, setting(ROUTE_OF[event_name].table_variable))
    future_tolerance = timedelta(minutes=float(setting("FUTURE_TOLERANCE_MINUTES")))

    async def process(message: Message) -> None:
        event = parse_event(message["body"], model)
        reject_future(event, now=datetime.now(UTC), tolerance=future_tolerance)
        change = to_change(event)
        async with asyncio.timeout(_WRITE_SECONDS):
            outcome = await table.apply(change)
        count(outcome)
        if event.source == SOURCE:  # a correction has the time of what it corrects
            # Never negative, or CloudWatch has no percentiles (user guide, "Percentiles").
            lag = max(0, (datetime.now(UTC) - event.instant) // timedelta(milliseconds=1))
            metrics.add_metric(name="EventLag", unit=MetricUnit.Milliseconds, value=lag)
        if not change.state_is_known:
            count("UnknownState")
        logger.debug(outcome, correlation_id=event.id, key=change.key, version=change.version)

    async def process_all(messages: list[Message]) -> list[BaseException | None]:
        return await asyncio.gather(*map(process, messages), return_exceptions=True)

    @metrics.log_metrics
    def handler(batch: dict[str, Any], _context: LambdaContext) -> BatchResponse:
        metrics.add_dimension(name="event_name", value=event_name)
        messages = batch["Records"]
        failures = Failures()
        for message, result in zip(messages, _loop.run(process_all(messages)), strict=True):
            match result:
                case None:
                    pass  # done
                case RejectedEvent():
                    failures.reject(message, result)
                case _:
                    failures.retry(message, error_name(result))
        return failures.report()

    return handler
