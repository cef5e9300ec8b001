"""Doing something at most so many times a second."""

import time
from collections.abc import Iterator


def rate_limited(per_second: float) -> Iterator[None]:
    """An endless iterator that yields at once, and then at most `per_second` times a second."""
    due = time.monotonic()
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        yield
        due = max(due + 1 / per_second, time.monotonic() - 1)
