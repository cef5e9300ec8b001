"""`make soak`: tens of thousands of events, told as badly as Canvas and AWS ever do, against DynamoDB Local.

They come shuffled within a window, some twice, some invalid, to a DynamoDB that sometimes fails. What fails comes back,
at once: with the pauses between the SDK's own attempts, which `test_faults.py` waits for, it would take an hour.
"""

import heapq
import itertools
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from functions.canvas.rejection import RejectedEvent
from functions.runtime import logger
from functions.state.table import WriteFailed
from tests.canvas import without
from tests.conftest import synthesise
from tests.ordering.engines import Engine, dynamodb_local, dynamodb_local_engine, load_handlers
from tests.ordering.histories import Fact, random_history, spell
from tests.ordering.microburst import microburst
from tests.ordering.oracle import tables_after

_WINDOW = 500
_DUPLICATED = 0.3
_INVALID = 0.01
_ONE_FAULT_IN = 20


@dataclass(frozen=True)
class Report:
    """How a soak ended."""

    sent: int
    outcomes: Counter[str]
    redelivered: int
    differing: int
    seconds: float

    @property
    def lost(self) -> int:
        """Events of which nothing became."""
        return self.sent - sum(self.outcomes.values())

    @property
    def rows(self) -> dict[str, str]:
        """The closing table."""
        return {
            "sent": f"{self.sent:,}",
            **{name.lower(): f"{self.outcomes[name]:,}" for name in ("Applied", "Duplicate", "Stale", "Rejected")},
            "redelivered": f"{self.redelivered:,}",
            "lost": f"{self.lost:,}",
            "items differing from the oracle": f"{self.differing:,}",
            "events per second": f"{self.sent / self.seconds:,.0f}",
        }


def soak(engine: Engine, rng: random.Random, size: int, advance: Callable[[], None] = lambda: None) -> Report:
    """Tell `engine` a history of `size` events and compare the tables with the oracle's."""
    facts = sorted(
        random_history(rng, size, subjects=max(2, size // 25), seconds=max(2, size // 10)), key=lambda f: f.instant
    )
    order = itertools.count()
    queue: list[tuple[float, int, Fact, bool]] = []
    for number, fact in enumerate(facts):
        queue.append((number + rng.uniform(0, _WINDOW), next(order), fact, rng.random() < _INVALID))
        if rng.random() < _DUPLICATED:
            queue.append((number + rng.uniform(0, 10 * _WINDOW), next(order), fact, False))
    heapq.heapify(queue)
    sent = len(queue)
    outcomes: Counter[str] = Counter()
    redelivered = 0
    valid: set[Fact] = set()
    began = time.monotonic()
    while queue:
        due, _, fact, invalid = heapq.heappop(queue)
        try:
            outcomes[_tell(engine, fact, rng, invalid=invalid)] += 1
        except WriteFailed:
            redelivered += 1
            heapq.heappush(queue, (due + _WINDOW, next(order), fact, invalid))
            continue
        if not invalid:
            valid.add(fact)
        advance()
    return Report(sent, outcomes, redelivered, _differing(engine, valid), time.monotonic() - began)


def _tell(engine: Engine, fact: Fact, rng: random.Random, *, invalid: bool) -> str:
    message = spell(fact, rng)
    if not invalid:
        return engine.deliver(message)
    envelope = "metadata" if "metadata" in message else "attributes"
    try:
        return engine.deliver(without(message, envelope, "event_time"))
    except RejectedEvent:
        return "Rejected"


def _differing(engine: Engine, facts: set[Fact]) -> int:
    return sum(
        held.get(key) != expected.get(key)
        for held, expected in zip(engine.contents(), tables_after(facts), strict=True)
        for key in held.keys() | expected.keys()
    )


@contextmanager
def faulty_engine(folder: Path) -> Iterator[Engine]:
    """DynamoDB Local behind a proxy that makes one request in twenty fail."""
    with (
        dynamodb_local(folder / "dynamodb-local.log") as endpoint,
        microburst(endpoint, folder, one_in=_ONE_FAULT_IN) as proxy,
        dynamodb_local_engine(synthesise("prod").state, endpoint) as engine,
    ):
        yield Engine(engine.tables, load_handlers(proxy.endpoint, attempts=1))


def main(
    events: Annotated[int, typer.Option(help="how many events happen, before duplicates")] = 50_000,
    seed: Annotated[int, typer.Option(help="the history and its order")] = 1,
) -> None:
    """Run the soak and print its closing table; exit status 1 where an event was lost or an item differs."""
    console = Console()
    logger.setLevel(logging.CRITICAL)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        tempfile.TemporaryDirectory() as folder,
        faulty_engine(Path(folder)) as engine,
        Progress(*columns, console=console) as progress,
    ):
        task = progress.add_task("events dealt with", total=round(events * (1 + _DUPLICATED)))
        report = soak(engine, random.Random(seed), events, lambda: progress.advance(task))
        progress.update(task, total=report.sent)
    table = Table("", "", title=f"Soak of {events:,} events, seed {seed}", show_header=False)
    for name, value in report.rows.items():
        table.add_row(name, value)
    console.print(table)
    sys.exit(1 if report.lost or report.differing else 0)


if __name__ == "__main__":
    typer.run(main)
