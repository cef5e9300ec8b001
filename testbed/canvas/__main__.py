"""Runs the test double as a process: `python -m testbed.canvas --port 0 --state FILE`, until SIGTERM or SIGINT."""

import json
import os
import signal
import sys
from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from threading import Event

from testbed.canvas.building import school_of
from testbed.canvas.lake import Lake
from testbed.canvas.server import running_canvas


def main() -> None:
    """Build and serve a school. Writes `{"url", "pid"}` to the state file, and the URL to standard output."""
    parser = ArgumentParser(prog="python -m testbed.canvas", description="Test double of Canvas on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--state", type=Path, required=True, help="file that gets the URL and the process id, as JSON")
    parser.add_argument("--enrollments", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    school = school_of(arguments.enrollments, seed=arguments.seed)
    # Without lag, the next `advance` loads every change, however close the school is to the real time.
    lake = Lake(school, lag=timedelta(0))
    with running_canvas(school, lake=lake, port=arguments.port) as canvas:
        part = arguments.state.with_suffix(".part")
        part.write_text(json.dumps({"url": canvas.url, "pid": os.getpid()}))
        part.replace(arguments.state)  # atomic
        sys.stdout.write(f"{canvas.url}\n")
        sys.stdout.flush()
        stop.wait()
    arguments.state.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
