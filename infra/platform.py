"""The platform of the functions: that of Lambda, or for the emulator that of this machine."""

import platform
import sys
from dataclasses import dataclass

from aws_cdk import aws_lambda as lambda_

from infra.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The interpreter and the processor for which an asset is built."""

    python: str
    machine: str

    @property
    def architecture(self) -> lambda_.Architecture:
        """The architecture of the Lambda functions."""
        return lambda_.Architecture.ARM_64 if self.machine == "aarch64" else lambda_.Architecture.X86_64

    @property
    def runtime(self) -> lambda_.Runtime:
        """The runtime of the Lambda functions."""
        return lambda_.Runtime(f"python{self.python}", lambda_.RuntimeFamily.PYTHON)


LAMBDA = Platform(python="3.13", machine="aarch64")
HOST = Platform(
    python=f"{sys.version_info.major}.{sys.version_info.minor}",
    machine={"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine()),
)


def platform_of(settings: Settings) -> Platform:
    """The platform of the functions of a stage. The emulator runs them on this machine."""
    return HOST if settings.runs_on_emulator else LAMBDA
