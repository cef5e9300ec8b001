"""A function behind Lambda's own Python runtime, invoked over HTTP: `awslambdaric` and AWS' runtime interface emulator.

The emulator's binary lies in the wheel of `aws-sam-cli`; `make` puts it into the checkout.
"""

import contextlib
import platform
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.process import environment, interpreter
from bench.programs import ROOT, Program
from tests.ordering.engines import free_port, wait_for_port

_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64"}
_EMULATOR = ROOT / ".local" / "lambda-rie" / f"aws-lambda-rie-{_ARCHITECTURES.get(platform.machine())}"
_PATH = "/2015-03-31/functions/function/invocations"


def first_invoke_seconds(program: Program, runtime: Path, event: bytes, endpoint: str, log: Path) -> float:
    """How long the first caller of a new execution environment waits: start of the runtime, import, one event.

    Raises:
        RuntimeError: the function failed; what it said is in the file `log`.
    """
    with _emulator(program, runtime, endpoint, log) as url:
        began = time.perf_counter()
        with urllib.request.urlopen(url, data=event) as answer:  # noqa: S310 - our own, on loopback
            said = answer.read()
        took = time.perf_counter() - began
    if said != b"null":
        raise RuntimeError(f"{program.name} failed in Lambda's runtime: see {log}")
    return took


@contextlib.contextmanager
def _emulator(program: Program, runtime: Path, endpoint: str, log: Path) -> Iterator[str]:
    """A running emulator; the URL that invokes the function."""
    port = free_port()
    lambda_environment = environment(endpoint) | {
        "PYTHONPATH": f"{program.asset}:{runtime}",
        "LAMBDA_TASK_ROOT": str(program.asset),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "20",
    }
    with (
        log.open("w") as output,
        subprocess.Popen(
            [
                *(_EMULATOR, "--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
                *("--runtime-api-address", f"127.0.0.1:{free_port()}"),
                *(interpreter(), "-S", "-m", "awslambdaric", program.handler),
            ],
            env=lambda_environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_for_port(port)
            yield f"http://127.0.0.1:{port}{_PATH}"
        finally:
            process.terminate()
