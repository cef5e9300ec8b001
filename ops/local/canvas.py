"""The double of Canvas beside the emulator: a server with Canvas Data 2 and the REST API of a simulated school."""

import json
import sys
import time
from dataclasses import dataclass
from typing import Self

from ops.failure import OperatorError
from ops.local.checkout import LOCAL
from ops.local.process import is_server, start_server, stop_server

LOG = LOCAL / "canvas.log"
_STATE = LOCAL / "canvas.json"
_PROGRAM = "testbed.canvas"
_START_SECONDS = 60


@dataclass(frozen=True)
class DoubleOfCanvas:
    """A running double of Canvas: its process id and its URL."""

    pid: int
    url: str

    @classmethod
    def running(cls) -> Self | None:
        """The double that an earlier command started, if it still runs."""
        try:
            recorded = cls(**json.loads(_STATE.read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return recorded if is_server(recorded.pid, _PROGRAM) else None

    @classmethod
    def start(cls, *, enrollments: int) -> Self:
        """Start a double with a school of `enrollments` on a free port, and wait until it listens.

        Raises:
            OperatorError: the process ended, or did not listen in time.
        """
        _STATE.unlink(missing_ok=True)
        process = start_server(
            [
                *(sys.executable, "-m", _PROGRAM, "--port", "0", "--state", _STATE),
                *("--enrollments", str(enrollments)),
            ],
            environment={},
            log=LOG,
        )
        deadline = time.monotonic() + _START_SECONDS
        while (started := cls.running()) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                stop_server(process.pid)
                raise OperatorError(f"The double of Canvas did not start. Read {LOG}, then try again with `make up`.")
            time.sleep(0.1)
        return started

    def stop(self) -> None:
        """Stop the process, and wait until it has ended."""
        stop_server(self.pid)
        _STATE.unlink(missing_ok=True)
