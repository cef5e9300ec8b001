"""The fault proxy between the functions and DynamoDB Local, which speaks DynamoDB's own errors."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.ordering.engines import free_port, wait_for_port


def faults(one_in: int) -> dict[str, dict[str, Any]]:
    """Faults of every kind, by the name under which the proxy reports them; together one request in `one_in` fails.

    A throttled request fails three times in a row: all that the SDK tries. Of the last two kinds the write is applied
    and its acknowledgement never arrives: cut off, or too slow for the client's patience.
    """
    return {
        "error:ProvisionedThroughputExceededException": _every(
            3, 12 * one_in, error={"code": "ProvisionedThroughputExceededException", "status": 400}
        ),
        "error:InternalServerError": _every(1, 5 * one_in, error={"code": "InternalServerError", "status": 500}),
        "error:ServiceUnavailable": _every(1, 5 * one_in, error={"code": "ServiceUnavailable", "status": 503}),
        "reset": _every(1, 6 * one_in, reset=True),
        "response:abort": _every(1, 7 * one_in, response={"abort_bytes": 0}),
        "response:0kbps": _every(1, 24 * one_in, response={"bandwidth_kbps": 0.001}),
    }


def _every(failing: int, of: int, **fault: Any) -> dict[str, Any]:
    return {
        "service": "dynamodb",
        "operation": "UpdateItem",
        "sequence": {"fail": failing, "pass": of - failing},
        **fault,
    }


@dataclass(frozen=True)
class Microburst:
    """A running fault proxy."""

    endpoint: str

    def fired(self) -> Counter[str]:
        """How often each fault was injected, of the newest."""
        with urllib.request.urlopen(f"{self.endpoint}/_microburst/fired?limit=100000") as answer:
            return Counter(fault["action"] for fault in json.loads(answer.read()))


@contextlib.contextmanager
def microburst(upstream: str, folder: Path, *, one_in: int) -> Iterator[Microburst]:
    """A fault proxy before `upstream` that makes one request in `one_in` fail."""
    rules = folder / "rules.yml"
    rules.write_text(json.dumps({"rules": list(faults(one_in).values())}))
    port = free_port()
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "microburst", "--upstream", upstream),
                *("--host", "127.0.0.1", "--port", str(port), "--config", str(rules)),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_for_port(port)
            yield Microburst(f"http://127.0.0.1:{port}")
        finally:
            process.kill()  # it would first wait for the answers that it is holding back
