"""Server processes of the local stage, which keep running after the command that started them."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_STOP_SECONDS = 15


def start_server(
    command: Sequence[str | Path], *, environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start `command` in a new process group, without the AWS variables of this shell. It writes to `log`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with log.open("w") as output:
        return subprocess.Popen(
            command,
            env={**inherited, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def is_server(pid: int, program: str) -> bool:
    """Whether the process `pid` is still `program`, not another process with a reused id."""
    command = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], check=False, capture_output=True, text=True).stdout
    return program in command


def stop_server(pid: int) -> None:
    """Stop the process group of `pid`, and wait until it has ended."""
    for stop_signal in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pid, stop_signal)
        except ProcessLookupError:
            return
        if _is_gone_within(pid, _STOP_SECONDS):
            return


def _is_gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        # A child of this process must be waited for.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
