"""The command: `make bench`, or `python -m bench --smoke` for a minute's run that judges nothing."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.measure import SMOKE, Effort, measure
from bench.programs import ROOT
from bench.report import write
from bench.targets import Verdict, verdicts


def main(
    output: Annotated[Path, typer.Option(help="where tables and pictures go")] = ROOT / "docs" / "performance",
    smoke: Annotated[bool, typer.Option("--smoke", help="two programs, few events, no targets")] = False,  # noqa: FBT002
) -> None:
    """Measure, write what was found, and exit with status 1 where a target was missed."""
    console = Console()
    effort = SMOKE if smoke else Effort()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=effort.steps)

        def advance(step: str) -> None:
            progress.update(task, advance=1, description=f"{step:60}")
            if not console.is_terminal:
                console.print(step)

        results = measure(effort, Path(folder), advance)
    output.mkdir(parents=True, exist_ok=True)
    results.save(output / "results.json")
    if smoke:
        console.print(f"Measured without judging: {output / 'results.json'}")
        return
    judged = verdicts(results)
    write(results, judged, output)
    console.print(_table(judged))
    sys.exit(0 if all(verdict.met for verdict in judged) else 1)


def _table(judged: list[Verdict]) -> Table:
    table = Table("target", "measured", "limit", "met", title="Targets", title_justify="left")
    for verdict in judged:
        table.add_row(verdict.target, f"{verdict.measured:.3f}", f"{verdict.limit:.3f}", "yes" if verdict.met else "NO")
    return table


if __name__ == "__main__":
    typer.run(main)
