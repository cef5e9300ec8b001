"""What differs between the stages. Everything that a stage may choose is here, with its type."""

import math
import platform
import sys
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

PROJECT = "canvas-live-state"

_MOST_RECEIVES = 1000
"""Source: Amazon SQS API reference, "SetQueueAttributes", `maxReceiveCount`."""


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The interpreter and the processor that the asset is built for."""

    python: str
    machine: str

    @property
    def architecture(self) -> lambda_.Architecture:
        """The processor that the function's configuration names."""
        return lambda_.Architecture.ARM_64 if self.machine == "aarch64" else lambda_.Architecture.X86_64

    @property
    def runtime(self) -> lambda_.Runtime:
        """The runtime that the function's configuration names."""
        return lambda_.Runtime(f"python{self.python}", lambda_.RuntimeFamily.PYTHON)


LAMBDA = Platform(python="3.13", machine="aarch64")
HOST = Platform(
    python=f"{sys.version_info.major}.{sys.version_info.minor}",
    machine={"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine()),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One stage.

    Attributes:
        stage: its name; part of the stacks' names.
        platform: what the functions' asset is built for.
        keeps_data: stacks cannot be deleted; tables, queues, bus and archive are retained.
        log_retention: how long the functions' logs are kept.
        archive_days: how long the bus keeps events for replay; `None` for no archive in the template.
        root_account_ids: global ids of the schools' root accounts; events of other shards are dropped. Empty: none is.
        future_tolerance_minutes: an event later than this after now is rejected.
        function_timeout_seconds: of every function.
        memory_mib: of every function.
        retry_hours: how long a message that fails is retried before it is dead-lettered.
        batching_window_seconds: how long Lambda gathers messages for a batch.
        function_concurrency: batches of one event that are processed at once, 2 to 1,000.
        relay_concurrency: batches of ingestion messages that are forwarded at once, 2 to 1,000.
        alarm_email: the recipient of alarms; `None` for nobody, until someone subscribes to the topic.
        silence_hours: no event at all for so long is an alarm; 0 for never.
        unfinished_import_hours: hours without an event after which an unfinished import raises an alarm.
        event_lag_minutes: one event in a hundred later than this is an alarm.
        oldest_message_minutes: a message that waits in a queue for longer than this is an alarm.
        runs_on_emulator: deployed with plain credentials, over plain HTTP, and quick to deliver a message again.
    """

    stage: str
    platform: Platform = LAMBDA
    keeps_data: bool = True
    log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS
    archive_days: int | None = 30
    root_account_ids: tuple[str, ...] = ()
    future_tolerance_minutes: int = 15
    function_timeout_seconds: int = 40
    memory_mib: int = 256
    retry_hours: int = 24
    batching_window_seconds: int = 1
    function_concurrency: int = 5
    relay_concurrency: int = 5
    alarm_email: str | None = None
    silence_hours: int = 24
    unfinished_import_hours: int = 12
    event_lag_minutes: int = 30
    oldest_message_minutes: int = 10
    runs_on_emulator: bool = False

    def stack_name(self, part: str) -> str:
        """The name of the stage's stack `part`: `data` or `pipeline`."""
        return f"{PROJECT}-{self.stage}-{part}"

    @property
    def removal_policy(self) -> cdk.RemovalPolicy:
        """Of what holds data. Not RETAIN: a first deployment that fails would leave orphans that block the next."""
        return cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if self.keeps_data else cdk.RemovalPolicy.DESTROY

    @property
    def visibility_seconds(self) -> int:
        """How long a message stays hidden after it was received, so also the pause between two attempts at it.

        Six times the function's timeout plus the batching window. Source: Lambda developer guide, "Using Lambda with
        Amazon SQS". On the emulator, which never throttles a batch, once the timeout.
        """
        return self.function_timeout_seconds * (1 if self.runs_on_emulator else 6) + self.batching_window_seconds

    @property
    def max_receive_count(self) -> int:
        """How often a message is received in `retry_hours`, one visibility timeout apart.

        Raises:
            ValueError: more often than SQS allows.
        """
        receives = math.ceil(self.retry_hours * 3600 / self.visibility_seconds)
        if receives > _MOST_RECEIVES:
            raise ValueError(
                f"stage {self.stage}: retry_hours={self.retry_hours} takes {receives} receives of a message, and SQS "
                f"allows {_MOST_RECEIVES}: choose at most {_MOST_RECEIVES * self.visibility_seconds // 3600} hours"
            )
        return receives


_STAGES = {
    settings.stage: settings
    for settings in (
        Settings(
            stage="local",
            platform=HOST,
            keeps_data=False,
            log_retention=logs.RetentionDays.ONE_DAY,
            archive_days=None,
            retry_hours=1,
            batching_window_seconds=0,
            function_timeout_seconds=20,
            function_concurrency=2,
            relay_concurrency=2,
            silence_hours=0,
            runs_on_emulator=True,
        ),
        Settings(
            stage="dev",
            keeps_data=False,
            log_retention=logs.RetentionDays.TWO_WEEKS,
            archive_days=7,
            silence_hours=0,
        ),
        Settings(stage="prod"),
    )
}


def settings_of(stage: str) -> Settings:
    """The settings of `stage`.

    Raises:
        ValueError: there is no such stage.
    """
    try:
        return _STAGES[stage]
    except KeyError:
        raise ValueError(f"no stage {stage!r}: choose -c stage=… from {', '.join(_STAGES)}") from None
