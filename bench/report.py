"""Targets of the benchmark, and the report in `docs/performance/`."""

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import NamedTuple

from matplotlib.figure import Figure

from bench.measure import Figures

_OUTPUT = Path(__file__).parents[1] / "docs" / "performance"
_TEMPLATE = Path(__file__).with_name("README.md.template")
_PACKAGES = ("pydynox", "boto3", "pydantic", "aws-lambda-powertools")


class Row(NamedTuple):
    """Format of a figure, and its limit for ours as a share of `typical`, which is valid on any machine."""

    title: str
    unit: float
    form: str
    of_typical: float | None = None


_ROWS = {
    "full_instructions": Row("Instructions per event, full batch (thousand)", 1e3, ",.0f", 0.22),
    "alone_instructions": Row("Instructions per event, batch of one (thousand)", 1e3, ",.0f", 0.25),
    "cold_instructions": Row("Instructions, cold start (million)", 1e6, ",.0f", 0.60),
    "cold_seconds": Row("Time, cold start (ms)", 1e-3, ",.0f"),
    "batch_seconds": Row("Time, full batch (ms)", 1e-3, ",.0f", 0.30),
    "peak_bytes": Row("Peak memory (MB)", 1e6, ",.0f", 0.85),
    "requests": Row("Requests per event", 1, "g"),
    "table_units": Row("Capacity of the table per event (units)", 1, "g"),
    "index_units": Row("Capacity of its indexes per event (units)", 1, "g"),
    "zipped_bytes": Row("Zipped asset (MB)", 1e6, ".1f"),
}
_LIMITS = {"requests": 1, "zipped_bytes": 12}
_DRAWN = ("full_instructions", "cold_instructions", "batch_seconds")


class Verdict(NamedTuple):
    """A target and its measurement."""

    target: str
    measured: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.measured <= self.limit

    def __str__(self) -> str:
        return f"| {self.target} | {self.measured:.3f} | {self.limit:g} | {'met' if self.met else '**missed**'} |"


def judge(figures: dict[str, Figures]) -> list[Verdict]:
    """Compare the figures with all targets."""
    ours, typical = figures["ours"], figures["typical"]
    return [
        *(
            Verdict(f"{row.title.partition(' (')[0]}, of typical", ours[name] / typical[name], row.of_typical)
            for name, row in _ROWS.items()
            if row.of_typical
        ),
        *(Verdict(_ROWS[name].title, ours[name] / _ROWS[name].unit, limit) for name, limit in _LIMITS.items()),
    ]


def write_report(figures: dict[str, Figures], verdicts: list[Verdict]) -> None:
    """Write README.md, results.json and peers.png."""
    run = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": ", ".join(f"{package} {version(package)}" for package in _PACKAGES),
    }
    (_OUTPUT / "results.json").write_text(json.dumps(run | {"figures": figures}, indent=2) + "\n")
    rows = (
        [row.title, *(format(of[name] / row.unit, row.form) for of in figures.values())] for name, row in _ROWS.items()
    )
    tables = {
        "targets": "\n".join(map(str, verdicts)),
        "programs": " | ".join(figures),
        "figures": "\n".join(f"| {' | '.join(row)} |" for row in rows),
    }
    (_OUTPUT / "README.md").write_text(Template(_TEMPLATE.read_text()).substitute(run | tables))
    _draw(figures)


def _draw(figures: dict[str, Figures]) -> None:
    picture = Figure(figsize=(11, 2.4), layout="constrained")
    colors = ["#1f6feb" if name == "ours" else "#b8c0cc" for name in figures]
    for axes, name in zip(picture.subplots(1, len(_DRAWN), sharey=True), _DRAWN, strict=True):
        bars = axes.barh(list(figures), [of[name] / _ROWS[name].unit for of in figures.values()], color=colors)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3)
        axes.set_title(_ROWS[name].title, loc="left", fontsize=10)
        axes.margins(x=0.2)
        axes.xaxis.set_visible(False)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.invert_yaxis()  # shared by all: the first program on top
    picture.savefig(_OUTPUT / "peers.png", dpi=100, metadata={"Software": None})  # reproducible
