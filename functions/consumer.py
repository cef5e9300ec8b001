"""What every event function does around its own few lines: parse, judge, apply, count."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError
from pydynox.pydynox_core import DynamoDBClient

from functions.canvas.event import CanvasEvent
from functions.canvas.rejection import RejectedEvent, reject_future
from functions.routes import route_of
from functions.runtime import ATTEMPTS, CONNECT_SECONDS, READ_SECONDS, logger, metrics, setting
from functions.state.change import Change
from functions.state.table import Table

EventT = TypeVar("EventT", bound=CanvasEvent)
Handler = Callable[[dict[str, Any], LambdaContext], None]

# The core itself: the Python around it logs keys and slow calls, and costs a tenth of the write.
_dynamodb = DynamoDBClient(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, max_retries=ATTEMPTS)


def consumer(model: type[EventT], *, to_change: Callable[[EventT], Change]) -> Handler:
    """The Lambda handler of the event that `model` describes; `to_change` says what it changes.

    The handler returns nothing: an event that is applied, duplicate or stale is done. It raises `RejectedEvent` for
    one that can never be applied, and `WriteFailed` where DynamoDB did not take the write. Either way Lambda delivers
    the event again and then puts it into the function's dead-letter queue.
    """
    event_name = model.event_name
    table = Table(_dynamodb, setting(route_of(event_name).table_variable))
    future_tolerance = timedelta(minutes=float(setting("FUTURE_TOLERANCE_MINUTES")))

    @event_parser(model=model)
    def apply(event: EventT, _context: LambdaContext) -> None:
        now = datetime.now(UTC)
        reject_future(event, now=now, tolerance=future_tolerance)
        lag = (now - event.instant) // timedelta(milliseconds=1)
        metrics.add_metric(name="EventLag", unit=MetricUnit.Milliseconds, value=lag)
        change = to_change(event)
        outcome = table.apply(change)
        metrics.add_metric(name=outcome, unit=MetricUnit.Count, value=1)
        if not change.state_is_known:
            metrics.add_metric(name="UnknownState", unit=MetricUnit.Count, value=1)
        logger.debug(outcome, correlation_id=event.id, key=change.key, version=change.version)

    @metrics.log_metrics
    def handler(event: dict[str, Any], context: LambdaContext) -> None:
        metrics.add_dimension(name="event_name", value=event_name)
        try:
            apply(event, context)
        except ValidationError as error:
            # `from None`: the original error carries the event.
            raise _rejected(RejectedEvent.invalid(event_name, error), event, context) from None
        except RejectedEvent as error:
            raise _rejected(error, event, context) from None

    return handler


def _rejected(error: RejectedEvent, event: dict[str, Any], context: LambdaContext) -> RejectedEvent:
    metrics.add_metric(name="Rejected", unit=MetricUnit.Count, value=1)
    # Given here and not by the logger's decorator, which every event would pay for: one that succeeds logs nothing.
    logger.error(str(error), correlation_id=event.get("id"), function_request_id=context.aws_request_id)
    return error
