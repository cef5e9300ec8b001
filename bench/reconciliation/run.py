"""Measures a run of the reconciliation: the real functions, each in a process."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench.reconciliation.stage import Stage
from testbed.events import ROOT

WORKERS = 2
"""Concurrency of a Distributed Map, on two cores. Also the number of published files of corrections."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind of run."""

    name: str
    equal: bool
    full: bool


@dataclass
class Measured:
    """Measurements of all processes of one step."""

    results: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    requests: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Measured") -> None:
        """Add a concurrent process."""
        self.results += other.results
        self.seconds = max(self.seconds, other.seconds)
        self.cpu_seconds += other.cpu_seconds
        self.peak_mib = max(self.peak_mib, other.peak_mib)
        self.requests.update(other.requests)


def measure_run(stage: Stage, run: str, case: Case, settings: Mapping[str, str]) -> dict[str, Measured]:
    """Measure each step of a run. Of a backfill, only the first `WORKERS` files of corrections are published.

    Raises:
        RuntimeError: a step failed; its output is in the message.
    """
    environment = stage.settings | dict(settings)
    measured: dict[str, Measured] = {}

    def step(step: str, *payloads: dict[str, Any], workers: int = 1) -> list[dict[str, Any]]:
        measured[step] = Measured()
        with ThreadPoolExecutor(workers) as pool:
            for ran in pool.map(lambda first: _invoke(step, payloads[first::workers], environment), range(workers)):
                measured[step].add(ran)
        return measured[step].results

    execution = {"state_machine": environment["STATE_MACHINE_ARN"], "started_at": datetime.now(UTC).isoformat()}
    options = {"full": case.full, "dry_run": False, "expected": not case.equal, "force": None}
    (state,) = step("request", {"run": run, **execution, "input": options})
    (state,) = step("poll", state)
    step("compare_imports", state)
    parts = ({"run": run, "full": case.full, **part, "chunk": 0} for part in stage.parts(run))
    step("compare", *parts, workers=WORKERS)
    (state,) = step("decide", state)
    if files := stage.corrections(run):
        step("publish", *({"run": run, "key": key, "line": 0} for key in files[:WORKERS]), workers=WORKERS)
    step("conclude", state)
    return measured


def _invoke(step: str, payloads: Sequence[dict[str, Any]], environment: Mapping[str, str]) -> Measured:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.reconciliation.step"],
        input=json.dumps({"step": step, "payloads": payloads}),
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        raise RuntimeError(f"{step} failed: {ran.stdout}{ran.stderr}")
    return Measured(**json.loads(ran.stdout.splitlines()[-1]))
