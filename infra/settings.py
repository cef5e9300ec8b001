"""The settings of the stages in `stages.toml`, typed and validated. Imports no CDK."""

import difflib
import json
import math
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from functions.routes import PROJECT

StackPart = Literal["data", "pipeline"]
"""The two stacks of a stage."""

Severity = Literal["page", "notify"]
"""Severities of alarms: act now, or in working hours."""
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

EMULATOR_ACCOUNT = "000000000000"
EMULATOR_REGION = "us-east-1"

FUNCTION_TIMEOUT_SECONDS = 40
"""The worst case of two writes, one dead-letter request and the loading of its client (checked by a test)."""

_FILE = Path(__file__).resolve().parents[1] / "stages.toml"

_MOST_RECEIVES = 1000
"""Source: Amazon SQS API reference, "SetQueueAttributes", `maxReceiveCount`."""

_EMULATOR_TIMEOUT_SECONDS = 20

_SHARD = 10**13
"""A global id is `shard * 10**13 + local id`. Source: `Shard::IDS_PER_SHARD` of switchman, which Canvas uses."""

DEAD_LETTER_DAYS = 14
"""Retention of a dead-letter queue: the longest that SQS allows."""

_LEAST_WINDOW_DAYS = DEAD_LETTER_DAYS + 1

LogDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""Source: CloudWatch Logs API reference, "PutRetentionPolicy"."""

Arn = Annotated[str, Field(pattern=r"^arn:[a-z-]+:[a-z0-9-]+:")]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
GlobalId = Annotated[str, Field(pattern=r"^[1-9][0-9]{13,18}$")]
"""Not a local id, with which all events would be dropped as foreign."""
SecretArn = Annotated[str, Field(pattern=r"^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/+=.@-]+$")]
"""With or without the six random characters at its end: Secrets Manager accepts both."""
Positive = Annotated[int, Field(ge=1)]
Concurrency = Annotated[int, Field(ge=2, le=1000)]
"""Source: Lambda API reference, "ScalingConfig", `MaximumConcurrency`."""


class StageError(ValueError):
    """Raised for a missing stage or an invalid setting in `stages.toml`. The text says what to do."""


def _base_url(url: str) -> str:
    """Remove the slash at the end of a URL.

    Raises:
        PydanticCustomError: the URL has more than a scheme and a host. The text omits it: it may contain credentials.
    """
    match = re.fullmatch(r"(https?)://([a-z0-9.-]+)(:\d+)?/?", url, flags=re.IGNORECASE)
    if match is None:
        raise PydanticCustomError("base_url", "must be https://HOST, without a path, a query or credentials")
    if match[1].lower() == "http" and match[2] != "127.0.0.1":
        raise PydanticCustomError("base_url", "must begin with https://")
    return url.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base_url)]


class Reconciliation(BaseModel):
    """The settings of the reconciliation, the table `reconciliation` of a stage: docs/deployment.md#reconciliation."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    root_account_id: GlobalId
    canvas_url: BaseUrl
    canvas_secret_arn: SecretArn
    canvas_data_secret_arn: SecretArn
    canvas_data_url: BaseUrl = "https://api-gateway.instructure.com"

    schedule_hours: Positive = 24
    window_days: Annotated[int, Field(ge=_LEAST_WINDOW_DAYS)] = 22
    margin_hours: Annotated[int, Field(ge=1, le=167)] = 10
    """Less than seven days, the greatest distance of the as-of time (`reconciliation/as_of.py`)."""
    correction_limit: Annotated[int, Field(ge=0)] = 1000
    correction_limit_percent: Annotated[int, Field(ge=0, le=100)] = 5
    corrections_per_second: Annotated[int, Field(ge=2)] = 300
    drift_alarm: Positive = 100

    @model_validator(mode="after")
    def _window_is_long_enough(self) -> Self:
        days = DEAD_LETTER_DAYS + math.ceil(self.schedule_hours / 24)
        if self.window_days < days:
            raise PydanticCustomError(
                "window",
                f"window_days is {self.window_days} and schedule_hours is {self.schedule_hours}: a dead-lettered event "
                f"can be redriven {DEAD_LETTER_DAYS} days after its change, which must still be in the window of the "
                f"next run. Choose window_days of at least {days}",
            )
        return self


class Settings(BaseModel):
    """The settings of one stage, a table of `stages.toml`: docs/deployment.md#stages."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    stage: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,19}$")]

    account: Annotated[str, Field(pattern=r"^\d{12}$")] | None = None
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] | None = None
    tags: dict[str, str] = {}
    permissions_boundary: Arn | None = None

    root_account_ids: tuple[GlobalId, ...] = ()
    canvas_connected: bool = False

    page_emails: tuple[Email, ...] = ()
    page_topic_arn: Arn | None = None
    notify_emails: tuple[Email, ...] = ()
    notify_topic_arn: Arn | None = None
    page_after_minutes: Positive = 60
    notify_after_minutes: Annotated[int, Field(ge=5)] = 15
    event_lag_minutes: Positive = 30
    silence_hours: Annotated[int, Field(ge=1, le=24)] = 24
    stuck_import_hours: Positive = 12

    future_tolerance_minutes: Positive = 15
    retry_hours: Positive = 24
    batching_window_seconds: Annotated[int, Field(ge=0, le=300)] = 1
    function_concurrency: Concurrency = 5
    relay_concurrency: Concurrency = 5
    memory_mib: Annotated[int, Field(ge=128, le=10240)] = 256
    warm_write_units: Annotated[int, Field(ge=4000)] | None = None
    warm_read_units: Annotated[int, Field(ge=12000)] | None = None

    reconciliation: Reconciliation | None = None

    keeps_data: bool = True
    log_days: LogDays = 90
    archive_days: Annotated[int, Field(ge=0)] = 30

    runs_on_emulator: bool = False

    @model_validator(mode="after")
    def _can_be_deployed(self) -> Self:
        if self.page_after_minutes % self.notify_after_minutes:
            raise PydanticCustomError(
                "periods", "page_after_minutes is not a multiple of notify_after_minutes, the period of those alarms"
            )
        for severity in SEVERITIES:
            if all(self.recipients(severity)):
                raise PydanticCustomError(
                    "recipients", "{name}_emails and {name}_topic_arn exclude each other", {"name": severity}
                )
        if self.max_receive_count > _MOST_RECEIVES:
            raise PydanticCustomError(
                "retry_hours",
                f"retry_hours takes {self.max_receive_count} receives of a message and SQS allows {_MOST_RECEIVES}: "
                f"choose at most {_MOST_RECEIVES * self.visibility_seconds // 3600}",
            )
        if self.reconciliation is not None:
            self._can_be_compared(self.reconciliation)
        return self

    def _can_be_compared(self, reconciliation: Reconciliation) -> None:
        shard = int(reconciliation.root_account_id) // _SHARD
        if self.root_account_ids and shard not in {int(school) // _SHARD for school in self.root_account_ids}:
            raise PydanticCustomError(
                "shard",
                "reconciliation.root_account_id is of shard {shard}, and no school of root_account_ids is: its events "
                "would be dropped",
                {"shard": shard},
            )
        for key in ("canvas_url", "canvas_data_url"):
            if not self.runs_on_emulator and not getattr(reconciliation, key).lower().startswith("https:"):
                raise PydanticCustomError("base_url", "reconciliation.{key} must begin with https://", {"key": key})

    def recipients(self, severity: Severity) -> tuple[tuple[Email, ...], Arn | None]:
        """The addresses of the alarms of `severity`, and the existing topic that they notify instead."""
        if severity == "page":
            return self.page_emails, self.page_topic_arn
        return self.notify_emails, self.notify_topic_arn

    def compared_with(self, canvas_url: str) -> Self:
        """The settings of a stage on the emulator, compared with the double of Canvas at `canvas_url`.

        Raises:
            StageError: the stage is not on the emulator, has no reconciliation, or the URL is invalid.
        """
        if not self.runs_on_emulator or self.reconciliation is None:
            raise StageError(
                f"The context canvas_url is for stages of the emulator that have reconciliation settings. Stage "
                f"{self.stage} takes its URLs from stages.toml."
            )
        try:
            url = _base_url(canvas_url)
        except PydanticCustomError as error:
            raise StageError(f"The context canvas_url {error.message()}.") from None
        double = self.reconciliation.model_copy(update={"canvas_url": url, "canvas_data_url": url})
        return self.model_copy(update={"reconciliation": double})

    @property
    def metrics_namespace(self) -> str:
        """The CloudWatch namespace of the metrics of the stage."""
        return f"CanvasLiveState/{self.stage}"

    @property
    def parameter_path(self) -> str:
        """The prefix of the SSM parameters of the stage."""
        return f"/{PROJECT}/{self.stage}"

    @property
    def live_events_name(self) -> str:
        """The name of the ingestion queue, with the prefix that Canvas requires, and of the event bus."""
        return f"canvas-live-events-{self.stage}"

    @property
    def function_timeout_seconds(self) -> int:
        """The timeout of the functions of the event path. Short on the emulator, so that retries are soon."""
        return _EMULATOR_TIMEOUT_SECONDS if self.runs_on_emulator else FUNCTION_TIMEOUT_SECONDS

    @property
    def visibility_seconds(self) -> int:
        """The visibility timeout of queues, which is also the pause between two attempts.

        Six times the timeout of the function plus the batching window. Source: Lambda developer guide, "Using Lambda
        with Amazon SQS". Once the timeout on the emulator, which never throttles a batch.
        """
        timeouts = 1 if self.runs_on_emulator else 6
        return timeouts * self.function_timeout_seconds + self.batching_window_seconds

    @property
    def max_receive_count(self) -> int:
        """The number of attempts in `retry_hours`, one visibility timeout apart."""
        return math.ceil(self.retry_hours * 3600 / self.visibility_seconds)

    def stack_name(self, part: StackPart) -> str:
        """The name of one of the stage's two stacks."""
        return f"{PROJECT}-{self.stage}-{part}"


@cache
def stage_settings(stage: str, file: Path = _FILE) -> Settings:
    """Read the settings of `stage`, a table of `file`.

    Raises:
        StageError: the stage is missing, or has an unknown key or an invalid value. The text names it.
    """
    try:
        stages = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise StageError(f"{file.name} cannot be read: {error}") from None
    if not isinstance(table := stages.get(stage), dict):
        raise StageError(f"{file.name} has no stage {stage!r}. There are: {', '.join(stages)}")
    try:
        # As JSON, since strict tuples reject the lists of tomllib.
        return Settings.model_validate_json(json.dumps({**table, "stage": stage}, default=str))
    except ValidationError as error:
        problems = "\n".join(f"  {_sentence(problem)}" for problem in error.errors(include_url=False))
        raise StageError(f"{file.name}, stage [{stage}]:\n{problems}") from None


def _sentence(problem: Any) -> str:
    """Describe a problem of one setting."""
    *tables, key = problem["loc"] or ("",)
    path = ".".join(map(str, problem["loc"]))
    match problem["type"]:
        case "missing":
            return f"{path} is missing"
        case "extra_forbidden":
            model = Reconciliation if tables == ["reconciliation"] else Settings
            close = difflib.get_close_matches(str(key), model.model_fields, n=1)
            meant = ".".join([*map(str, tables), *close])
            return f"{path} is not a setting" + (f": did you mean {meant}?" if close else "")
        case "base_url":
            return f"{path} {problem['msg']}".lstrip()
        case "window":
            return f"{path}.{problem['msg']}"
        case _:
            return f"{path}: {problem['msg']}, not {problem['input']!r}" if path else str(problem["msg"])
