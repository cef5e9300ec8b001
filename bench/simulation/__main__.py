"""Simulates bad days with prod's settings, and writes the results and the prices into docs/performance.

Exits with status 1 where an event is dead-lettered, or `--against-emulator` finds model and emulator too different.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from matplotlib.figure import Figure
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from bench.simulation.cases import CASES
from bench.simulation.emulator import compare
from bench.simulation.model import Pipeline
from bench.simulation.prices import PRICES, Price
from infra.settings import stage_settings

_PERFORMANCE = Path(__file__).resolve().parents[2] / "docs" / "performance"
SCALE, COST = _PERFORMANCE / "scale.md", _PERFORMANCE / "cost.md"
_COLUMNS = ("case", "dead letters", "tables right after", "oldest event", "most receives", "dollars")


def main(*, against_emulator: Annotated[bool, typer.Option(help="check the model")] = False) -> None:
    """Simulate, or check the model, and write what was found into the document."""
    if against_emulator:
        text, ratio = compare()
        typer.echo(text)
        rewrite(SCALE, "model against emulator", text)
        sys.exit(not 1 / 1.5 < ratio < 1.5)  # noqa: PLR2004
    days = [Pipeline(case, stage_settings("prod")).run() for case in CASES]
    table, console = Table(*_COLUMNS, box=MARKDOWN), Console(width=150, record=True)
    figure = Figure(figsize=(10, 8), layout="constrained")
    for place, day in enumerate(days, 1):
        times = (str(timedelta(seconds=round(seconds))) for seconds in (day.right_seconds, day.oldest_seconds))
        table.add_row(day.case.name, str(day.dead_letters), *times, str(day.most_receives), f"{day.dollars:.2f}")
        axes = figure.add_subplot(4, 3, place, title=day.case.name, ylim=(0, max(10_000, *day.backlog.values()) / 900))
        axes.fill_between([at / 60 for at in day.backlog], [events / 1000 for events in day.backlog.values()])
    console.print(table)
    rewrite(SCALE, "bad days", console.export_text().strip())
    rewrite(COST, "prices", "\n".join(["| price | dollars | page of AWS |", "| --- | --- | --- |", *map(_row, PRICES)]))
    figure.suptitle("Thousands of events that are not yet in the tables, by minute")
    figure.savefig(_PERFORMANCE / "bad-days.png", dpi=80)
    sys.exit(any(day.dead_letters for day in days))


def _row(price: Price) -> str:
    return f"| {price.unit} | {price.dollars:g} | <{price.page}> |"


def rewrite(document: Path, marker: str, text: str) -> None:
    """Replace what stands in `document` between the two comments of `marker`, and date it."""
    before, begin, rest = document.read_text().partition(f"<!-- {marker} -->\n")
    end = f"<!-- end of {marker} -->"
    document.write_text(f"{before}{begin}On {datetime.now(UTC).date()}:\n\n{text}\n\n{end}{rest.partition(end)[2]}")


if __name__ == "__main__":
    typer.run(main)
