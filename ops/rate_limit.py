"""A rate limit for loops."""

import time
from collections.abc import Iterator


def rate_limited(per_second: float) -> Iterator[None]:
    """Yield at once, and then without end at most `per_second` times a second."""
    due = time.monotonic()
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        yield
        due = max(due + 1 / per_second, time.monotonic() - 1)
