"""`make soak`: delivers 50,000 shuffled, duplicated events to DynamoDB Local with injected faults.

Events are shuffled within a window, some are sent twice, some are invalid, and one DynamoDB request in twenty fails.
Failed messages are retried. The functions run as deployed, in enough processes to keep all processors busy during
the backoff of the SDK.

Then it checks the properties of the reconciliation on more histories than `make test`.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from testbed.engines import Engine, dynamodb_local, dynamodb_local_engine
from testbed.ordering.histories import Fact, random_history, spoil
from testbed.ordering.microburst import faults, microburst
from testbed.ordering.oracle import tables_after
from testbed.ordering.queues import MAX_BATCH
from testbed.ordering.workers import deliver_at_once
from testbed.reconciliation import properties

_WINDOW = 500
_DUPLICATED = 0.3
_INVALID = 0.01
_ONE_FAULT_IN = 20
_WORKERS = 16


def soak(
    engine: Engine,
    folder: Path,
    rng: random.Random,
    size: int,
    *,
    workers: int,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, int]:
    """Deliver a history of `size` events to `engine` with faults, and return the result table."""
    sent = _sent(rng, size)
    with microburst(engine.endpoint, folder, *faults(_ONE_FAULT_IN, at_once=MAX_BATCH * workers).values()) as proxy:
        began = time.monotonic()
        totals = deliver_at_once(sent, proxy.endpoint, rng, workers=workers, window=_WINDOW, advance=advance)
        seconds = time.monotonic() - began
    return {
        "sent": len(sent),
        **{name.lower(): totals[name] for name in ("Applied", "Duplicate", "Stale", "Rejected", "Retried")},
        "lost": len(sent) - (totals.total() - totals["Retried"]),
        "items differing from the oracle": sum(
            held.get(key) != expected.get(key)
            for held, expected in zip(engine.contents(), tables_after(sent), strict=True)
            for key in held.keys() | expected.keys()
        ),
        "events per second": round(len(sent) / seconds),
    }


def _sent(rng: random.Random, size: int) -> list[Fact]:
    """Draw a history of `size` events in order, of which some are invalid, and some are sent again much later."""
    facts = random_history(rng, size, subjects=max(2, size // 25), seconds=max(2, size // 10))
    facts = spoil(sorted(facts, key=attrgetter("instant")), rng, share=_INVALID)
    places: list[tuple[float, Fact]] = list(enumerate(facts))
    places += [(n + rng.uniform(0, 10 * _WINDOW), fact) for n, fact in places if rng.random() < _DUPLICATED]
    return [fact for _, fact in sorted(places, key=lambda place: place[0])]


def main(
    events: Annotated[int, typer.Option(help="number of events, before duplicates")] = 50_000,
    seed: Annotated[int, typer.Option(help="seed of the history and its order")] = 1,
    workers: Annotated[int, typer.Option(help="number of concurrent processes")] = _WORKERS,
    histories: Annotated[int, typer.Option(help="number of histories of the reconciliation, for each property")] = 200,
) -> None:
    """Run the soak test and print its results. Exits with status 1 where an event was lost or an item differs.

    Then checks the properties of the reconciliation. The first history that violates one is printed, and ends the run.
    """
    # Workers import this module, too, and do not need these.
    from testbed.reconciliation.stage import local_stage, prove
    from testbed.stacks import synthesise

    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        tempfile.TemporaryDirectory() as folder,
        dynamodb_local(Path(folder, "dynamodb-local.log")) as endpoint,
        dynamodb_local_engine(synthesise("prod").data, endpoint) as engine,
        Progress(*columns, console=console) as progress,
    ):
        task = progress.add_task("events done", total=round(events * (1 + _DUPLICATED)))
        rng = random.Random(seed)
        report = soak(engine, Path(folder), rng, events, workers=workers, advance=partial(progress.advance, task))
        progress.update(task, total=report["sent"])
    table = Table("", "", title=f"Soak of {events:,} events, seed {seed}", show_header=False)
    for name, number in report.items():
        table.add_row(name, f"{number:,}")
    console.print(table)
    with (
        tempfile.TemporaryDirectory() as folder,
        local_stage(synthesise("prod").data, Path(folder, "dynamodb-local.log")) as stage,
    ):
        for name in ("NEVER_SET_BACK", "ENDS_RIGHT", "COUNTS_ARE_THE_DIFFERENCE", "DAILY_RUNS_SUFFICE"):
            with console.status(f"{name}: {histories:,} histories"):
                worlds = prove(getattr(properties, name), stage, examples=histories)
            corrected = sum(world.deliveries.corrected for world in worlds)
            console.print(f"{name}: holds for {histories:,} histories, with {corrected:,} corrections applied")
    sys.exit(1 if report["lost"] or report["items differing from the oracle"] else 0)


if __name__ == "__main__":
    typer.run(main)
