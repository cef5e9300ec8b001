"""Where the commands print, and the progress that they show."""

import sys
from collections.abc import Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

# Where no terminal says how wide it is, ids must still fit.
console = Console(width=None if sys.stdout.isatty() else 160)

T = TypeVar("T")


def collect(things: Iterator[T], description: str) -> list[T]:
    """All of `things`, with a counter; those until then when the operator stops it."""
    done: list[T] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,.0f}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=None)
        try:
            for thing in things:
                done.append(thing)
                progress.advance(task)
        except KeyboardInterrupt:
            console.print("Stopped. What was not dealt with is still in its queue.")
    return done
