"""`make bench`: runs the benchmark, writes `docs/performance/`, and exits with status 1 where a target is missed."""

import shutil
import sys
import tempfile
from pathlib import Path

import testbed.environment  # noqa: F401  # settings of all clients
from bench.measure import measure
from bench.programs import build_programs, dynamodb
from bench.report import judge, write_report

if __name__ == "__main__":
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is missing; it counts instructions. Install it: apt-get install valgrind")
    with tempfile.TemporaryDirectory() as name:
        programs = build_programs(Path(name))
        with dynamodb(Path(name)) as endpoint:
            figures = measure(programs, endpoint)
    verdicts = judge(figures)
    write_report(figures, verdicts)
    sys.stdout.write("\n" + "".join(f"{verdict}\n" for verdict in verdicts))
    sys.exit(0 if all(verdict.met for verdict in verdicts) else 1)
