"""Running one program in a process of its own, plainly or under cachegrind, and what that took."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.programs import ROOT, Program

_DRIVER = ROOT / "bench" / "driver.py"
_OWN_VALGRIND = ROOT / ".local" / "valgrind"


@dataclass(frozen=True)
class Run:
    """What one process took.

    Attributes:
        cpu_seconds: of the events after the warm-up, on all threads.
        wall_seconds: of the events after the warm-up.
        whole_cpu_seconds: of the whole process.
        peak_bytes: the most memory it ever held.
    """

    cpu_seconds: float
    wall_seconds: float
    whole_cpu_seconds: float
    peak_bytes: int


def environment(endpoint: str) -> dict[str, str]:
    """What Lambda sets, and `infra`, as far as any program reads it. Hashes are fixed, so that runs repeat."""
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "ENROLLMENTS_TABLE": "enrollments",
        "SIS_BATCHES_TABLE": "sis_batches",
        "IDEMPOTENCY_TABLE": "idempotency",
        "FUTURE_TOLERANCE_MINUTES": "15",
        "PATH": os.environ["PATH"],
        "PYTHONHASHSEED": "0",
    }


def interpreter() -> str:
    """The interpreter itself, not the environment's link to it, which would bring this project's packages."""
    return str(Path(sys.executable).resolve())


def run(program: Program, events: Path, endpoint: str, *, warm_up: int = 0) -> Run:
    """Hand `events` to `program` in a fresh interpreter.

    Raises:
        RuntimeError: it failed; its standard error is in the message.
    """
    ran = subprocess.run(
        _command(program, events, warm_up),
        env=environment(endpoint),
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    if ran.returncode:
        raise RuntimeError(f"{program.name} failed: {ran.stderr}")
    return Run(**json.loads(ran.stderr.splitlines()[-1]))


def instructions(program: Program, events: Path, endpoint: str) -> int:
    """The user-space instructions of the whole process, counted by cachegrind.

    Raises:
        FileNotFoundError: there is no valgrind.
        RuntimeError: the program failed.
    """
    ran = subprocess.run(
        [
            *(valgrind(), "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"),
            *_command(program, events, 0),
        ],
        env=environment(endpoint) | _valgrind_environment(),
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    counted = re.search(r"I +refs: +([0-9,]+)", ran.stderr)
    if ran.returncode or counted is None:
        raise RuntimeError(f"{program.name} failed under cachegrind: {ran.stderr}")
    return int(counted[1].replace(",", ""))


def valgrind() -> str:
    """The path of valgrind: the machine's, or the one that `make` unpacked into the checkout.

    Raises:
        FileNotFoundError: there is neither.
    """
    found = shutil.which("valgrind") or shutil.which(_OWN_VALGRIND / "usr" / "bin" / "valgrind.bin")
    if found is None:
        raise FileNotFoundError(
            "valgrind is not installed, and `make` found no Debian package of it to unpack: install valgrind"
        )
    return found


def _valgrind_environment() -> dict[str, str]:
    library = _OWN_VALGRIND / "usr" / "libexec" / "valgrind"
    return {"VALGRIND_LIB": str(library)} if valgrind().startswith(str(_OWN_VALGRIND)) else {}


def _command(program: Program, events: Path, warm_up: int) -> list[str]:
    return [
        *(interpreter(), "-I", "-S", str(_DRIVER)),
        *(str(program.asset), program.handler, str(events), str(warm_up)),
    ]
