"""The emulator: MiniStack, AWS in one process, started and stopped by its recorded process id."""

import json
import shutil
import socket
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Self

from infra.settings import EMULATOR_REGION
from ops.failure import OperatorError
from ops.local.checkout import INSTALLED, LOCAL
from ops.local.process import is_server, start_server, stop_server
from ops.session import EMULATOR_CREDENTIALS

_PYTHON = INSTALLED / "emulator-venv" / "bin" / "python"
_PROGRAM = Path(__file__).with_name("ministack_with_error_types.py")
_STATE = LOCAL / "emulator.json"
_TEMPORARY = LOCAL / "tmp"
LOG = LOCAL / "emulator.log"
_START_SECONDS = 60


@dataclass(frozen=True)
class Emulator:
    """A running emulator: its process id, and its port on the loopback interface."""

    pid: int
    port: int

    @property
    def endpoint(self) -> str:
        """The URL of every service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point an AWS client to the emulator."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": EMULATOR_REGION,
            "AWS_DEFAULT_REGION": EMULATOR_REGION,
            **EMULATOR_CREDENTIALS,
        }

    @classmethod
    def running(cls) -> Self | None:
        """The emulator that an earlier command started, if it still runs."""
        try:
            recorded = cls(**json.loads(_STATE.read_text()))
        except FileNotFoundError:
            return None
        return recorded if is_server(recorded.pid, str(_PYTHON)) else None

    @classmethod
    def start(cls) -> Self:
        """Start an emulator that enforces IAM, on a free port, and wait until it answers.

        Raises:
            OperatorError: the process ended, or did not answer in time.
        """
        shutil.rmtree(_TEMPORARY, ignore_errors=True)
        _TEMPORARY.mkdir(parents=True)
        port = _free_port()
        process = start_server(
            [_PYTHON, _PROGRAM],
            environment={
                "AUTH": "true",
                # It unpacks the functions there, half a gigabyte in a demo, and leaves them behind.
                "TMPDIR": str(_TEMPORARY),
                "BIND_HOST": "127.0.0.1",
                "GATEWAY_PORT": str(port),
                "MINISTACK_HOST": "127.0.0.1",
                "SFTP_ENABLED": "0",
                "IOT_MTLS_ENABLED": "0",
            },
            log=LOG,
        )
        emulator = cls(pid=process.pid, port=port)
        _STATE.write_text(json.dumps(asdict(emulator)))
        deadline = time.monotonic() + _START_SECONDS
        while not emulator._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                emulator.stop()
                raise OperatorError(f"The emulator did not start. Read {LOG}, then try again with `make up`.")
            time.sleep(0.1)
        return emulator

    def stop(self) -> None:
        """Stop the emulator and the functions that it runs, and wait until they have ended."""
        stop_server(self.pid)
        _STATE.unlink(missing_ok=True)
        shutil.rmtree(_TEMPORARY, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2) as answer:  # noqa: S310
                return bool(answer.status == HTTPStatus.OK)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
