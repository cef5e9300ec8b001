"""Output and progress of the commands."""

import sys
from collections.abc import Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

# Wide enough for ids where there is no terminal.
console = Console(width=None if sys.stdout.isatty() else 160)

T = TypeVar("T")


def collect(things: Iterator[T], description: str) -> list[T]:
    """Collect `things` and show a counter; on Ctrl-C, return those collected so far."""
    done: list[T] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed:,.0f}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(description, total=None)
        try:
            for thing in things:
                done.append(thing)
                progress.advance(task)
        except KeyboardInterrupt:
            console.print("Stopped. The remaining messages are still in their queues.")
    return done
