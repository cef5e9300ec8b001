"""What differs between the stages. Everything that a stage may choose is here, with its type."""

import platform
import sys
from dataclasses import dataclass

from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

PROJECT = "canvas-live-state"


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the asset is built for: Lambda's interpreter and processor, or this machine's where no Lambda runs."""

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


LAMBDA = Target(python="3.13", machine="aarch64")
THIS_MACHINE = Target(
    python=f"{sys.version_info.major}.{sys.version_info.minor}",
    machine={"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine()),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One stage.

    Attributes:
        stage: its name; part of the stacks' names.
        target: what the functions' asset is built for.
        keeps_data: tables cannot be deleted, and outlive their stack.
        log_retention: how long the functions' logs are kept.
        archive_days: how long the bus keeps events for replay; `None` for no archive in the template.
        forward_all_events: whether the relay forwards events that no function of ours takes.
        future_tolerance_minutes: an event later than this after now is rejected.
        function_timeout_seconds: of every function.
        memory_mib: of every function.
        receive_attempts: deliveries of a front-door message before it goes to the dead-letter queue.
        alarm_email: who is told of alarms; `None` for nobody, until someone subscribes to the topic.
        silence_hours: no event at all for so long is an alarm; 0 for never.
        unfinished_import_hours: an import without news for so long, and not at its end, is an alarm.
        event_lag_minutes: one event in a hundred later than this is an alarm.
        oldest_message_minutes: a front-door message that waits longer than this is an alarm.
        runs_on_emulator: deployed with plain credentials, over plain HTTP, and quick to give a message up.
    """

    stage: str
    target: Target = LAMBDA
    keeps_data: bool = True
    log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS
    archive_days: int | None = 30
    forward_all_events: bool = False
    future_tolerance_minutes: int = 15
    function_timeout_seconds: int = 20
    memory_mib: int = 256
    receive_attempts: int = 5
    alarm_email: str | None = None
    silence_hours: int = 24
    unfinished_import_hours: int = 12
    event_lag_minutes: int = 30
    oldest_message_minutes: int = 10
    runs_on_emulator: bool = False

    def stack_name(self, part: str) -> str:
        """The name of the stage's stack `part`: `state`, `processing` or `monitoring`."""
        return f"{PROJECT}-{self.stage}-{part}"

    @property
    def front_door_visibility_seconds(self) -> int:
        """How long a message that was not forwarded stays hidden.

        Six times the relay's timeout. Source: Lambda developer guide, "Using Lambda with Amazon SQS".
        """
        return self.function_timeout_seconds * (1 if self.runs_on_emulator else 6)


_STAGES = {
    settings.stage: settings
    for settings in (
        Settings(
            stage="local",
            target=THIS_MACHINE,
            keeps_data=False,
            log_retention=logs.RetentionDays.ONE_DAY,
            archive_days=None,
            receive_attempts=2,
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
