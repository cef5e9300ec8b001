"""The measurements, interleaved: whatever else the machine does meets every program alike."""

import itertools
import os
import platform
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import events, process, programs
from bench.dynamodb import Meter, meter, tables
from bench.events import KINDS
from bench.lambda_runtime import first_invoke_seconds
from bench.programs import Program
from bench.relay import put_events_calls_per_event
from bench.results import Results

IMPORTS = "ours, imports"
_IMPORTS_HANDLER = "functions.handlers.sis_batch_updated.handler"
_VERSIONS = ("pydynox", "boto3", "pydantic", "aws-lambda-powertools", "awslambdaric")
_RELAY_BATCHES = 60
_file_numbers = itertools.count(1)

Advance = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is measured.

    Attributes:
        programs: which.
        counted: events under cachegrind, beyond the warm-up.
        timed: events per round of the CPU measurement, and per worker.
        rounds: of everything that is timed; the median counts.
        workers: how many write at once.
        warm_up: events of each kind that come first and do not count.
    """

    programs: tuple[str, ...] = ("ours", "floor", "typical", "get + put", "typical + idempotency")
    counted: int = 200
    timed: int = 500
    rounds: int = 5
    workers: tuple[int, ...] = (1, 2, 4, 8)
    warm_up: int = 20

    @property
    def steps(self) -> int:
        """How often a run of it advances."""
        counted = len(self.programs) * (len(KINDS) + 2)
        timed = len(self.programs) * (len(KINDS) + 2) * self.rounds
        metered = (len(self.programs) + 1) * len(KINDS) + 1
        return 1 + counted + timed + metered + len(self.workers) * self.rounds + 1


SMOKE = Effort(programs=("ours", "floor"), counted=10, timed=20, rounds=1, workers=(1, 2), warm_up=5)


def measure(effort: Effort, folder: Path, advance: Advance) -> Results:
    """All of it, with `folder` for whatever it needs on disk. `advance` is told before each step what it is."""
    advance("building the assets")
    assets = programs.build(folder)
    chosen = [assets.programs[name] for name in effort.programs]
    results = Results(
        surroundings(), zipped_bytes={program.name: assets.zipped_bytes[program.name] for program in chosen}
    )
    with tables(folder) as endpoint:
        run = _Measurement(effort, folder, endpoint, assets.runtime, chosen, advance)
        run.count_instructions(results)
        run.take_times(results)
        with meter(endpoint) as metered:
            run.meter_requests(results, metered)
        run.scale(results)
    advance("counting the relay's calls")
    results.put_events_calls = put_events_calls_per_event(_RELAY_BATCHES)
    return results


def surroundings() -> dict[str, str]:
    """Machine, versions and date."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{package: version(package) for package in _VERSIONS},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


@dataclass(frozen=True)
class _Measurement:
    effort: Effort
    folder: Path
    endpoint: str
    runtime: Path
    programs: list[Program]
    advance: Advance

    def count_instructions(self, results: Results) -> None:
        """Two processes at a time: what else runs does not change what cachegrind counts."""
        asked = [(program, what) for program in self.programs for what in ("start", "warm-up", *KINDS)]
        with ThreadPoolExecutor(2) as pool:
            counted = dict(zip(asked, pool.map(lambda pair: self._count(*pair), asked), strict=True))
        for program in self.programs:
            results.cold_instructions[program.name] = counted[program, "start"]
            results.warm_instructions[program.name] = {
                kind: (counted[program, kind] - counted[program, "warm-up"]) / self.effort.counted for kind in KINDS
            }

    def _count(self, program: Program, what: str) -> int:
        self.advance(f"counting instructions: {program.name}, {what}")
        if what == "start":
            return process.instructions(program, events.first_event(self._path()), self.endpoint)
        path = self._prepared(
            "in order" if what == "warm-up" else what, 0 if what == "warm-up" else self.effort.counted
        )
        return process.instructions(program, path, self.endpoint)

    def take_times(self, results: Results) -> None:
        """CPU, memory and wall time: one process at a time, the programs taking turns."""
        cold: dict[str, list[process.Run]] = {program.name: [] for program in self.programs}
        first: dict[str, list[float]] = {program.name: [] for program in self.programs}
        warm: dict[str, dict[str, list[float]]] = {
            program.name: {kind: [] for kind in KINDS} for program in self.programs
        }
        for number, program in itertools.product(range(1, self.effort.rounds + 1), self.programs):
            self.advance(f"timing, round {number}: {program.name}, start")
            cold[program.name].append(process.run(program, events.first_event(self._path()), self.endpoint))
            self.advance(f"timing, round {number}: {program.name}, in Lambda's runtime")
            first[program.name].append(self._first_invoke(program))
            for kind in KINDS:
                self.advance(f"timing, round {number}: {program.name}, {kind}")
                ran = process.run(
                    program, self._prepared(kind, self.effort.timed), self.endpoint, warm_up=self._warm_up
                )
                warm[program.name][kind].append(ran.cpu_seconds / self.effort.timed)
        for name, kinds in warm.items():
            results.cold_cpu_seconds[name] = statistics.median(ran.whole_cpu_seconds for ran in cold[name])
            results.cold_peak_bytes[name] = int(statistics.median(ran.peak_bytes for ran in cold[name]))
            results.first_invoke_seconds[name] = statistics.median(first[name])
            results.warm_cpu_seconds[name] = {kind: statistics.median(times) for kind, times in kinds.items()}

    def _first_invoke(self, program: Program) -> float:
        event = events.first_event(self._path()).read_bytes()
        return first_invoke_seconds(program, self.runtime, event, self.endpoint, self.folder / "lambda.log")

    def meter_requests(self, results: Results, metered: Meter) -> None:
        """Requests and capacity, told by the wire: every client looks alike there."""
        count = self.effort.warm_up
        for program, kind in itertools.product(self.programs, KINDS):
            self.advance(f"metering: {program.name}, {kind}")
            before = self._spent(program, self._prepared(kind, 0), metered)
            after = self._spent(program, self._prepared(kind, count), metered)
            self._note(results, program.name, kind, [(b - a) / count for a, b in zip(before, after, strict=True)])
        ours = self.programs[0]
        imports = Program(IMPORTS, _IMPORTS_HANDLER, ours.asset)
        for kind in KINDS:
            self.advance(f"metering: {IMPORTS}, {kind}")
            before = self._spent(imports, events.import_events(self._path(), kind, 0), metered)
            after = self._spent(imports, events.import_events(self._path(), kind, count), metered)
            self._note(results, IMPORTS, kind, [(b - a) / count for a, b in zip(before, after, strict=True)])
        self.advance("metering: ours, a projected attribute changes")
        before = self._spent(ours, events.projected_changes(self._path(), 1), metered)
        after = self._spent(ours, events.projected_changes(self._path(), 1 + count), metered)
        results.projected_change_units = [(b - a) / count for a, b in zip(before[1:], after[1:], strict=True)]

    @staticmethod
    def _note(results: Results, name: str, kind: str, spent: list[float]) -> None:
        for kept, figure in zip((results.requests, results.table_units, results.index_units), spent, strict=True):
            kept.setdefault(name, {})[kind] = figure

    @staticmethod
    def _spent(program: Program, path: Path, metered: Meter) -> tuple[float, float, float]:
        """Requests, units of tables and units of indexes that the events of `path` took."""
        metered.reset()
        process.run(program, path, metered.endpoint)
        return metered.requests, metered.table_units, metered.index_units

    def scale(self, results: Results) -> None:
        """Events per second with several execution environments writing at once."""
        rates: dict[str, list[float]] = {str(workers): [] for workers in self.effort.workers}
        for number, workers in itertools.product(range(1, self.effort.rounds + 1), self.effort.workers):
            self.advance(f"scaling, round {number}: {workers} at once")
            rates[str(workers)].append(self._events_per_second(workers))
        results.events_per_second = {workers: statistics.median(rate) for workers, rate in rates.items()}

    def _events_per_second(self, workers: int) -> float:
        """Of the time in which all workers were writing: each tells how long its own events took."""
        paths = [self._prepared("in order", self.effort.timed) for _ in range(workers)]
        with ThreadPoolExecutor(workers) as pool:
            ran = list(
                pool.map(lambda path: process.run(self.programs[0], path, self.endpoint, warm_up=self._warm_up), paths)
            )
        return sum(self.effort.timed / worker.wall_seconds for worker in ran)

    @property
    def _warm_up(self) -> int:
        return self.effort.warm_up * len(KINDS)

    def _prepared(self, kind: str, count: int) -> Path:
        return events.prepared(self._path(), kind, warm_up=self.effort.warm_up, count=count)

    def _path(self) -> Path:
        return self.folder / f"events-{next(_file_numbers)}.jsonl"
