"""Benchmark of the reconciliation: rows per second and peak memory of each step, for schools of growing size.

Exits with status 1 where the memory of *compare* or *decide* grows with the school, or where a run over equal tables
writes anything.

The functions are the real ones, two at a time where a Distributed Map invokes them. Canvas Data 2 is the test double,
DynamoDB is Amazon's DynamoDB Local, and the other services of AWS are moto.
"""

import sys
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.reconciliation.large_lake import LargeLake
from bench.reconciliation.run import WORKERS, Case, Measured, measure_run
from bench.reconciliation.stage import Stage, running_stage
from testbed.canvas.building import school_of
from testbed.canvas.server import running_canvas

_CASES = (
    Case(name="daily run, all equal", equal=True, full=False),
    Case(name="full run, all equal", equal=True, full=True),
    Case(name="backfill, all missing", equal=False, full=True),
)
_SIZES = [10_000, 100_000, 1_000_000]
_SAMPLE = 1_000
"""Enrollments of the school whose rows are repeated."""
_MOST_GROWTH = 1.25
_SCANNED_ROWS = 10_000
"""Up to this size, the items are compared as well. Beyond it, the requests of the functions prove that none changed."""

_AFTER_POLL = ("compare_imports", "compare", "decide", "conclude")
_READS = {"BatchGetItem", "Scan", "DescribeTable", "GetSecretValue", "GetObject", "ListObjectsV2", "PutObject"}
"""Requests of these steps in a run over equal tables. The only writes are the objects of the run."""

Steps = dict[str, Measured]


def main(rows: Annotated[list[int], typer.Option(help="how many; repeat it for several sizes")] = _SIZES) -> None:
    """Run the benchmark, print the results, and exit with status 1 where a check fails."""
    table = Table("case", "rows", "step", "s", "rows/s", "rows/CPU s", "MiB", "requests to AWS", title="Reconciliation")
    peaks: dict[tuple[str, str], list[float]] = {}
    wrong: list[str] = []
    with running_stage() as stage:
        for size in sorted(rows):
            for case, steps, faults in _measure(stage, size):
                typer.echo(f"{case.name}, {size:,} rows: measured", err=True)
                _add_to(table, case, size, steps)
                wrong += [f"{case.name}, {size:,} rows: {fault}" for fault in faults]
                for step in ("compare", "decide"):
                    peaks.setdefault((case.name, step), []).append(steps[step].peak_mib)
    wrong += [
        f"{case}: the memory of {step} grows from {sizes[0]:.0f} to {sizes[-1]:.0f} MiB"
        for (case, step), sizes in peaks.items()
        if sizes[-1] > _MOST_GROWTH * sizes[0]
    ]
    Console(width=160).print(table, *wrong, sep="\n")
    sys.exit(1 if wrong else 0)


def _measure(stage: Stage, rows: int) -> Iterator[tuple[Case, Steps, list[str]]]:
    """Measure all cases with `rows` rows, half of them enrollments and half their states, and as many users.

    Yields the case, the measurements of its steps, and the failed checks.
    """
    enrollments, stored, empty = rows // 2, f"stored-{rows}", f"empty-{rows}"
    school = school_of(_SAMPLE)
    school.sis_imports.history.clear()  # their number does not grow with the school
    lake = LargeLake(school, enrollments=enrollments, users=rows)
    stage.create_enrollments(stored, lake)
    stage.create_enrollments(empty)
    versions = stage.versions(stored) if rows <= _SCANNED_ROWS else None
    with running_canvas(school, lake=lake) as canvas:
        canvas.dap.polls, canvas.dap.rows_per_part = 0, -(-enrollments // WORKERS)
        urls = {"CANVAS_URL": canvas.url, "CANVAS_DATA_URL": canvas.url, "ROOT_ACCOUNT_ID": school.root_account_id}
        for case in _CASES:
            run = f"{case.name.partition(' ')[0]}-{rows}"
            steps = measure_run(stage, run, case, urls | {"ENROLLMENTS_TABLE": stored if case.equal else empty})
            faults = _wrong_report(case, enrollments, steps)
            if case.equal:
                requests = set().union(*(steps[step].requests for step in _AFTER_POLL)) - _READS
                faults += [f"requests {', '.join(requests)}"] if requests else []
                faults += ["there are corrections"] if stage.corrections(run) else []
                if versions is not None and stage.versions(stored) != versions:
                    faults.append("items have changed")
            yield case, steps, faults


def _wrong_report(case: Case, enrollments: int, steps: Steps) -> list[str]:
    families, verdict = steps["conclude"].results[0]["families"], "same" if case.equal else "missing"
    right = all(families[family][verdict] == enrollments for family in ("enrollment", "state"))
    return [] if right else [f"not every row is {verdict}: {families}"]


def _add_to(table: Table, case: Case, rows: int, steps: Steps) -> None:
    published = sum(each["line"] for each in steps["publish"].results) if "publish" in steps else 0
    for step, handled in {"compare": rows, "decide": rows, "publish": published, "conclude": 0}.items():
        if (took := steps.get(step)) is not None:
            table.add_row(
                *(case.name, f"{rows:,}", step, f"{took.seconds:,.1f}"),
                *(f"{handled / seconds:,.0f}" if handled else "" for seconds in (took.seconds, took.cpu_seconds)),
                f"{took.peak_mib:,.0f}",
                ", ".join(f"{number:,} {name}" for name, number in sorted(took.requests.items())),
            )


if __name__ == "__main__":
    typer.run(main)
