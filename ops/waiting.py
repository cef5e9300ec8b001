"""Waits for a condition, and parses durations."""

import time
from collections.abc import Callable

from ops.failure import OperatorError

_UNITS = {"s": 1, "m": 60, "h": 3600}


def wait_for(condition: Callable[[], bool], *, seconds: float, pause: float = 1) -> bool:
    """Whether `condition` became true within `seconds`. It is evaluated at least once, every `pause` seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True


def seconds_of(option: str, duration: str) -> float:
    """The seconds of a duration such as `90s`, `15m` or `2h`.

    Raises:
        OperatorError: it is not a duration. The text names `option`.
    """
    number, unit = duration[:-1], duration[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdigit():
        raise OperatorError(f"{option} is not a duration. For example: 90s, 15m, 2h")
    return float(number) * _UNITS[unit]
