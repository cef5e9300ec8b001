"""Measures programs: instructions by cachegrind, times and memory by pyperf, requests by a proxy."""

import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyperf

from bench.programs import FULL_BATCH, Program
from bench.proxy import COUNTS, proxy

INVOKE = Path(__file__).with_name("invoke.py")
_CACHEGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
_ROUNDS = 3

Figures = dict[str, float]
"""Measurements of one program, by the names of `bench.report`."""


def measure(programs: list[Program], endpoint: str) -> dict[str, Figures]:
    """Measure each program with the DynamoDB at `endpoint`. Returns the figures by program name.

    Raises:
        RuntimeError: a program failed; the text is its standard error.
    """
    with ThreadPoolExecutor(2) as pool:  # other processes do not affect the counts of cachegrind
        instructions = list(pool.map(partial(_count_instructions, endpoint=endpoint), programs))
    with proxy(endpoint) as (late_endpoint, counts):
        requests = [_count_requests(program, late_endpoint, counts) for program in programs]
        for program in programs * _ROUNDS:  # in turns, so that other load affects all programs
            _take_times(program, endpoint, late_endpoint)
    return {
        program.name: counted | requested | _medians(program) | {"zipped_bytes": program.zipped_bytes}
        for program, counted, requested in zip(programs, instructions, requests, strict=True)
    }


def _count_instructions(program: Program, endpoint: str) -> Figures:
    logs = program.folder / f"{program.name}, cachegrind"
    logs.mkdir()
    full, alone = 20, 60
    steps = ("1x1", "cold", "10x3", "1x10", "warm", f"10x{full}", "full", f"1x{alone}", "alone")
    output = _run(endpoint, *_CACHEGRIND, f"--log-file={logs}/%p", *_invocations(program, *steps))
    count = {}
    for name, process in re.findall(r"^(\w+)=(\d+)$", output, flags=re.MULTILINE):
        (instructions,) = re.findall(r"I +refs: +([0-9,]+)", (logs / process).read_text())
        count[name] = int(instructions.replace(",", ""))
    return {
        "full_instructions": (count["full"] - count["warm"]) / (full * FULL_BATCH),
        "alone_instructions": (count["alone"] - count["full"]) / alone,
        "cold_instructions": count["cold"],
    }


def _count_requests(program: Program, endpoint: str, counts: Callable[[], list[float]]) -> Figures:
    _run(endpoint, *_invocations(program, "10x1"))  # creates the items
    before = counts()
    _run(endpoint, *_invocations(program, "10x3"))
    return {name: (n - b) / (3 * FULL_BATCH) for name, n, b in zip(COUNTS, counts(), before, strict=True)}


def _take_times(program: Program, endpoint: str, late_endpoint: str) -> None:
    load = f"invoke.load({str(program.asset)!r}, {program.handler!r}, {str(program.folder)!r})"
    setup = f"import sys; sys.path.insert(0, {str(INVOKE.parent)!r}); import invoke; run = {load}"
    for url, measured, command, *arguments in (
        (late_endpoint, "batch", "timeit", "-w3", "-n10", "--setup", setup, "run('10')"),
        (endpoint, "cold", "command", "-w0", "-n3", "--", *_invocations(program, "1x1")),
        (endpoint, "memory", "command", "-w0", "-n3", "--", *_invocations(program, "10x10")),
    ):
        options = ("--quiet", "--copy-env", "--processes=1", "--loops=1", "--append", _pyperf_file(program, measured))
        _run(url, sys.executable, "-m", "pyperf", command, *options, *arguments)


def _medians(program: Program) -> Figures:
    batch, cold, memory = (pyperf.Benchmark.load(_pyperf_file(program, of)) for of in ("batch", "cold", "memory"))
    return {
        "batch_seconds": batch.median(),
        "cold_seconds": cold.median(),
        "peak_bytes": statistics.median(run.get_metadata()["command_max_rss"] for run in memory.get_runs()),
    }


def _pyperf_file(program: Program, measured: str) -> str:
    return str(program.folder / f"{program.name}, {measured}.json")


def _invocations(program: Program, *steps: str) -> list[str]:
    """Command that invokes `program` in a new interpreter, without .venv and, as in Lambda, unbuffered."""
    python = (str(Path(sys.executable).resolve()), "-u", "-s", "-P", "-S")
    return [*python, str(INVOKE), str(program.asset), program.handler, str(program.folder), *steps]


def _run(endpoint: str, *command: str) -> str:
    """Run a process with the environment variables of Lambda and of `infra`, and return its standard error."""
    sys.stderr.write(".")
    environment = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "ENROLLMENTS_TABLE": "enrollments",
        "IDEMPOTENCY_TABLE": "idempotency",
        "FUTURE_TOLERANCE_MINUTES": "15",
        "METRICS_NAMESPACE": "Bench",
        "PATH": os.environ["PATH"],
        "PYTHONHASHSEED": "0",  # for reproducible counts
    }
    ran = subprocess.run(
        command, env=environment, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{ran.stderr}")
    return ran.stderr
