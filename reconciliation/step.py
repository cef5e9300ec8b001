"""Wraps the Lambda handlers of a run: which errors they raise, and when they must end."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from traceback import extract_tb
from typing import Any, TypedDict, TypeVar

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from functions.canvas.fields import format_timestamp
from functions.runtime import error_name, logger, setting
from reconciliation.failure import STAGE_OPTION, RunFailed, TemporaryFailure
from reconciliation.rows import CanvasTable

PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")

HANDING_ON_MILLISECONDS = 90_000
"""Remaining time of an invocation below which it starts no further work."""


class RunState(TypedDict):
    """The state that the steps of a run pass on.

    Attributes:
        run: the name of the execution.
        number: the unique number of the run.
        started_at: when the execution started, ISO 8601.
        full: whether whole tables are compared, instead of recent changes.
        dry_run: whether nothing is published.
        expected: whether any number of corrections is expected, as in a backfill.
        limit_of: the number of corrections of the run that `--force` names, `None` without that option.
        jobs: the id of the job in Canvas Data 2, by table.
    """

    run: str
    number: int
    started_at: str
    full: bool
    dry_run: bool
    expected: bool
    limit_of: int | None
    jobs: dict[str, str]


class PartState(TypedDict):
    """The progress of the comparison of one object of a result."""

    run: str
    full: bool
    table: CanvasTable
    part: int
    object: str
    at: str
    chunk: int


def step(function: Callable[[PayloadT, LambdaContext], ResultT]) -> Callable[[PayloadT, LambdaContext], ResultT]:
    """Make a Lambda handler raise `RunFailed` only: the text of another error may contain a name, a token or a URL.

    Step Functions stores the text of an error in the history of the execution.
    """

    @wraps(function)
    def handler(payload: PayloadT, context: LambdaContext) -> ResultT:
        try:
            return function(payload, context)
        except RunFailed as error:
            _log(function, error)
            raise type(error)(str(error).replace(STAGE_OPTION, f"--stage {_stage()}")) from None
        except Exception as error:  # noqa: BLE001  # raised again without its text
            _log(function, error)
            raise TemporaryFailure(
                f"{_name(function)}: {_kind(error)}. The log of the function says where; "
                f"if it fails again and again, run: ops status --stage {_stage()}"
            ) from None

    return handler


def must_hand_on(context: LambdaContext) -> bool:
    """Whether the invocation has too little time left to start further work."""
    return context.get_remaining_time_in_millis() < HANDING_ON_MILLISECONDS


def now() -> str:
    """The current time, in the stored form."""
    return format_timestamp(datetime.now(UTC))


def _log(function: Callable[..., Any], error: BaseException) -> None:
    logger.error(
        "Step failed",
        step=_name(function),
        error=_kind(error),
        # Positions only, without the text of the error or lines of source.
        where=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(error.__traceback__)],
    )


def _kind(error: BaseException) -> str:
    # Errors of HTTP clients have a `response` of another form.
    return error_name(error) if isinstance(error, ClientError) else type(error).__name__


def _name(function: Callable[..., Any]) -> str:
    return function.__module__.rpartition(".")[2]


def _stage() -> str:
    # The last part of the namespace is the name of the stage.
    return setting("METRICS_NAMESPACE").rpartition("/")[2]
