"""What surrounds each Lambda function of a run: which errors leave it, and when it must end."""

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
"""What must be left of an invocation to begin another piece of work."""


class RunState(TypedDict):
    """What the steps of one run hand on.

    Attributes:
        run: the name of the execution.
        number: of the run, unlike that of any other.
        started_at: when the execution started, ISO 8601.
        full: whether whole tables are compared, instead of what changed recently.
        dry_run: whether nothing is published.
        expected: whether any number of corrections is expected, as in a backfill.
        limit_of: how many corrections the run of `--force` reported, `None` without that option.
        jobs: the job of each table in Canvas Data 2.
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
    """How far one object of a result is compared."""

    run: str
    full: bool
    table: CanvasTable
    part: int
    object: str
    at: str
    chunk: int


def step(function: Callable[[PayloadT, LambdaContext], ResultT]) -> Callable[[PayloadT, LambdaContext], ResultT]:
    """Let out of a Lambda handler only errors whose text is ours: that of any other may hold a name, a token or a URL.

    Step Functions stores the text of an error in the execution's history.
    """

    @wraps(function)
    def handler(payload: PayloadT, context: LambdaContext) -> ResultT:
        try:
            return function(payload, context)
        except RunFailed as error:
            _log(function, error)
            raise type(error)(str(error).replace(STAGE_OPTION, f"--stage {_stage()}")) from None
        except Exception as error:  # noqa: BLE001  # reported by its kind
            _log(function, error)
            raise TemporaryFailure(
                f"{_name(function)}: {_kind(error)}. The log of the function says where; "
                f"if it fails again and again, run: ops status --stage {_stage()}"
            ) from None

    return handler


def must_hand_on(context: LambdaContext) -> bool:
    """Whether too little time is left to begin another piece of work in this invocation."""
    return context.get_remaining_time_in_millis() < HANDING_ON_MILLISECONDS


def now() -> str:
    """The time, in the stored form."""
    return format_timestamp(datetime.now(UTC))


def _log(function: Callable[..., Any], error: BaseException) -> None:
    logger.error(
        "Step failed",
        step=_name(function),
        error=_kind(error),
        # Positions only: neither the text of the error nor a line of source.
        where=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(error.__traceback__)],
    )


def _kind(error: BaseException) -> str:
    # Those of HTTP clients have a `response`, too, of another form.
    return error_name(error) if isinstance(error, ClientError) else type(error).__name__


def _name(function: Callable[..., Any]) -> str:
    return function.__module__.rpartition(".")[2]


def _stage() -> str:
    # One namespace for each stage: its name is the last part.
    return setting("METRICS_NAMESPACE").rpartition("/")[2]
