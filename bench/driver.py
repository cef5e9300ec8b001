"""One measured process: import a handler from its asset alone, hand it events, say what they cost.

    python -I -S driver.py ASSET MODULE.ATTRIBUTE EVENTS WARM_UP

EVENTS is a file of one event a line. The first WARM_UP of them are not part of the timing. Standard library only, and
little of it: whatever this file does is counted as the handler's.
"""

import importlib
import json
import os
import sys
import time


class Context:
    """What Lambda's context tells a handler."""

    function_name = "function"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"
    tenant_id = None

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Milliseconds that Lambda would leave the handler."""
        return 20_000


def peak_bytes() -> int:
    """The most memory that this process ever held. What `getrusage` says begins with its parent's."""
    with open("/proc/self/status", encoding="ascii") as lines:  # noqa: PTH123 - pathlib is not free
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main(asset: str, handler_path: str, events: str, warm_up: int) -> None:
    """Run the handler, and write what it took to standard error, as the JSON of a `bench.process.Run`.

    The interpreter's end is not measured: no function of Lambda's ever meets it.
    """
    sys.path.insert(0, asset)
    module, attribute = handler_path.rsplit(".", 1)
    handler = getattr(importlib.import_module(module), attribute)
    context = Context()
    began = (time.process_time(), time.perf_counter())
    with open(events, encoding="utf-8") as lines:  # noqa: PTH123 - pathlib is not free
        for number, line in enumerate(lines):
            if number == warm_up:
                began = (time.process_time(), time.perf_counter())
            handler(json.loads(line), context)
    took = {
        "cpu_seconds": time.process_time() - began[0],
        "wall_seconds": time.perf_counter() - began[1],
        "whole_cpu_seconds": time.process_time(),
        "peak_bytes": peak_bytes(),
    }
    sys.stderr.write(json.dumps(took) + "\n")
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
