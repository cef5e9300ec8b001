"""Measured process: invokes one function of the reconciliation until it reports that it has finished.

Reads `{"step": …, "payloads": […]}` from standard input. The last line of standard output is a `Measured`, as JSON.
"""

import json
import re
import sys
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import botocore.session

_LONGEST_SECONDS = 900
"""Maximum duration of an invocation. Source: Lambda developer guide, "Lambda quotas"."""


class Context:
    """Test double of the Lambda context, with the remaining time only."""

    def __init__(self) -> None:
        self._ends_at = time.monotonic() + _LONGEST_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        return int(1000 * (self._ends_at - time.monotonic()))


def measure(step: str, payloads: list[dict[str, Any]]) -> dict[str, Any]:
    """Invoke `step` with each payload, then with its own results until they are done. Returns a `Measured`."""
    requests: Counter[str] = Counter()
    session = botocore.session.get_session()
    session.register("before-send", lambda **sent: requests.update([sent["event_name"].rpartition(".")[2]]))
    results = []
    with mock.patch.object(botocore.session, "get_session", return_value=session):
        handler = import_module(f"reconciliation.handlers.{step}").handler
        started, cpu_started = time.monotonic(), time.process_time()
        for payload in payloads:
            answer = handler(payload, Context())
            while not answer.get("decide", answer).get("done", True):
                answer = handler(answer, Context())
            results.append(answer)
        seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu_started
    return {
        "results": results,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mib": _peak_mib(),
        "requests": requests,
    }


def _peak_mib() -> float:
    """Peak memory of the process. `ru_maxrss` would include that of the parent at the fork."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(measure(**json.load(sys.stdin)))}\n")
