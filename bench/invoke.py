"""Measured process: imports a handler from its asset alone, and invokes it.

    python -I -S invoke.py ASSET HANDLER BATCHES STEP...

BATCHES is a folder with `10.json`, a full batch, and `1.json`. A STEP is `10x5`, five full batches, or a name under
which the instructions so far are reported. It imports little of the standard library, since its own work is counted.
"""

import atexit
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

CONTEXT = SimpleNamespace(
    function_name="function",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:function",
    aws_request_id="6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    tenant_id=None,
    get_remaining_time_in_millis=lambda: 30_000,
)


def load(asset: str, path: str, batches: str) -> Callable[[str], None]:
    """Import a handler, and return a function that invokes it with a batch of events from now, of a given size.

    Raises:
        RuntimeError: by the returned function; the handler reported a failure.
    """
    # Lambda never ends the interpreter. Its end would be measured, and threads of pydynox would crash in it.
    atexit.register(os._exit, 0)
    sys.path.insert(0, asset)
    module, attribute = path.rsplit(".", 1)
    handler = getattr(importlib.import_module(module), attribute)
    texts = {}
    for size in ("10", "1"):
        with open(f"{batches}/{size}.json", encoding="utf-8") as file:  # noqa: PTH123  # importing pathlib is counted
            texts[size] = file.read()

    def invoke(size: str) -> None:
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        now = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds // 1000:06}Z"
        response = handler(json.loads(texts[size].replace("EVENT_TIME", now)), CONTEXT)
        if response != {"batchItemFailures": []}:
            raise RuntimeError(f"{path} returned {response}")

    return invoke


if __name__ == "__main__":
    invoke = load(*sys.argv[1:4])
    for step in sys.argv[4:]:
        size, is_batches, times = step.partition("x")
        for _ in range(int(times or 0)):
            invoke(size)
        if not is_batches:  # cachegrind writes its count at the end of a process: that of a fork
            if (child := os.fork()) == 0:
                os._exit(0)
            os.waitpid(child, 0)
            sys.stderr.write(f"{step}={child}\n")
