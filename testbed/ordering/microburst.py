"""Runs microburst, a fault proxy for AWS APIs, between the functions and DynamoDB Local."""

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

import boto3

from functions.runtime import ATTEMPTS
from testbed.network import free_port, wait_for_port


def faults(one_in: int, *, at_once: int) -> dict[str, dict[str, Any]]:
    """Rules for faults of every kind, by the name in the report of the proxy. One request in `one_in` fails.

    Throttling comes in bursts that exhaust the attempts of the SDK for `at_once` concurrent writes. With the last two
    kinds the write is applied and its acknowledgement is lost: cut off, or slower than the timeout of the client.
    """
    burst = ATTEMPTS * at_once
    return {
        "error:ProvisionedThroughputExceededException": _every(
            burst, 4 * one_in * burst, error={"code": "ProvisionedThroughputExceededException", "status": 400}
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
        """Count the injected faults by kind: the newest 100,000."""
        with urllib.request.urlopen(f"{self.endpoint}/_microburst/fired?limit=100000") as answer:
            return Counter(fault["action"] for fault in json.loads(answer.read()))


@contextlib.contextmanager
def microburst(upstream: str, folder: Path, *rules: dict[str, Any]) -> Iterator[Microburst]:
    """Run a proxy for `upstream` that injects the faults of `rules`."""
    config = folder / "rules.yml"
    config.write_text(json.dumps({"rules": rules}))
    port = free_port()
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "microburst", "--upstream", upstream),
                *("--host", "127.0.0.1", "--port", str(port), "--config", str(config)),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_for_port(port)
            endpoint = f"http://127.0.0.1:{port}"
            # The first request takes seconds, longer than the timeout of the functions.
            boto3.client("dynamodb", endpoint_url=endpoint).list_tables()
            yield Microburst(endpoint)
        finally:
            process.kill()  # SIGTERM would wait for the delayed answers
