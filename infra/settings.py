"""The stages of `stages.toml`: what differs between the deployments, typed and checked. Imports no CDK."""

import difflib
import json
import math
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

PROJECT = "canvas-live-state"

FUNCTION_TIMEOUT_SECONDS = 40
"""Two writes, one dead-letter request and the loading of its client end within it at their worst (a test says so)."""

_FILE = Path(__file__).resolve().parents[1] / "stages.toml"

_MOST_RECEIVES = 1000
"""Source: Amazon SQS API reference, "SetQueueAttributes", `maxReceiveCount`."""

_EMULATOR_TIMEOUT_SECONDS = 20

LogDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""Source: CloudWatch Logs API reference, "PutRetentionPolicy"."""

Arn = Annotated[str, Field(pattern=r"^arn:[a-z-]+:[a-z0-9-]+:")]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
GlobalId = Annotated[str, Field(pattern=r"^[1-9][0-9]{13,18}$")]
"""Not a local id: every event would be of another shard, and be dropped."""
Positive = Annotated[int, Field(ge=1)]
Concurrency = Annotated[int, Field(ge=2, le=1000)]
"""Source: Lambda API reference, "ScalingConfig", `MaximumConcurrency`."""


class StageError(ValueError):
    """Raised where `stages.toml` has no such stage, or a setting that cannot be deployed. The text says what to do."""


class Settings(BaseModel):
    """One stage: a table of `stages.toml`. Every key, with unit and default: docs/deployment.md#stages."""

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
        for severity, emails, arn in (
            ("page", self.page_emails, self.page_topic_arn),
            ("notify", self.notify_emails, self.notify_topic_arn),
        ):
            if emails and arn:
                raise PydanticCustomError(
                    "recipients", "{name}_emails and {name}_topic_arn exclude each other", {"name": severity}
                )
        if self.max_receive_count > _MOST_RECEIVES:
            raise PydanticCustomError(
                "retry_hours",
                "retry_hours takes {receives} receives of a message and SQS allows {most}: choose at most {hours}",
                {
                    "receives": self.max_receive_count,
                    "most": _MOST_RECEIVES,
                    "hours": _MOST_RECEIVES * self.visibility_seconds // 3600,
                },
            )
        return self

    @property
    def metrics_namespace(self) -> str:
        """The CloudWatch namespace of our own metrics: one for each stage, so that none is mixed into another's."""
        return f"CanvasLiveState/{self.stage}"

    @property
    def parameter_path(self) -> str:
        """Where readers find the stage's names in SSM."""
        return f"/{PROJECT}/{self.stage}"

    @property
    def function_timeout_seconds(self) -> int:
        """Of every function. Short on the emulator, so that what failed is soon delivered again."""
        return _EMULATOR_TIMEOUT_SECONDS if self.runs_on_emulator else FUNCTION_TIMEOUT_SECONDS

    @property
    def visibility_seconds(self) -> int:
        """How long a message stays hidden after it was received, so also the pause between two attempts at it.

        Six times the function's timeout plus the batching window. Source: Lambda developer guide, "Using Lambda with
        Amazon SQS". Once the timeout on the emulator, which never throttles a batch.
        """
        timeouts = 1 if self.runs_on_emulator else 6
        return timeouts * self.function_timeout_seconds + self.batching_window_seconds

    @property
    def max_receive_count(self) -> int:
        """How often a message is received in `retry_hours`, one visibility timeout apart."""
        return math.ceil(self.retry_hours * 3600 / self.visibility_seconds)

    def stack_name(self, part: Literal["data", "pipeline"]) -> str:
        """The name of one of the stage's two stacks."""
        return f"{PROJECT}-{self.stage}-{part}"


@cache
def stage_settings(stage: str, file: Path = _FILE) -> Settings:
    """The settings of `stage`, a table of `file`.

    Raises:
        StageError: there is no such stage, an unknown key, or a value that cannot be deployed; the text names it.
    """
    try:
        stages = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise StageError(f"{file.name} cannot be read: {error}") from None
    if not isinstance(table := stages.get(stage), dict):
        raise StageError(f"{file.name} has no stage {stage!r}. There are: {', '.join(stages)}")
    try:
        # As JSON: TOML's arrays are Python's lists, and a strict tuple takes none.
        return Settings.model_validate_json(json.dumps({**table, "stage": stage}, default=str))
    except ValidationError as error:
        problems = "\n".join(f"  {_sentence(problem)}" for problem in error.errors(include_url=False))
        raise StageError(f"{file.name}, stage [{stage}]:\n{problems}") from None


def _sentence(problem: Any) -> str:
    """What is wrong with one setting."""
    path = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(path, Settings.model_fields, n=1)
        return f"{path} is not a setting" + (f": did you mean {close[0]}?" if close else "")
    return f"{path}: {problem['msg']}, not {problem['input']!r}" if path else str(problem["msg"])
