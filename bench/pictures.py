"""The pictures in `docs/performance/`."""

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.results import Results

mpl.use("Agg")

_OURS = "#1f6feb"
_PEER = "#b8c0cc"


def draw(results: Results, folder: Path) -> None:
    """Write warm.png, cold.png and scale.png into `folder`."""
    names = list(results.warm_instructions)

    figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
    _bars(axes, {name: results.warm_instructions[name]["in order"] / 1000 for name in names})
    axes.set_title("Thousands of instructions for an in-order event", loc="left")
    _save(figure, folder / "warm.png")

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3), layout="constrained", sharey=True)
    _bars(left, {name: results.cold_instructions[name] / 1e6 for name in names})
    left.set_title("Cold start, millions of instructions", loc="left")
    _bars(right, {name: results.cold_peak_bytes[name] / 1e6 for name in names})
    right.set_title("Peak memory, MB", loc="left")
    _save(figure, folder / "cold.png")

    figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
    workers = [int(number) for number in results.events_per_second]
    axes.plot(workers, list(results.events_per_second.values()), marker="o", color=_OURS)
    axes.set_xticks(workers)
    axes.set_ylim(0, 1.15 * max(results.events_per_second.values()))
    axes.set_xlabel(f"execution environments at once, on {results.surroundings['cores']} cores with DynamoDB Local")
    axes.set_title("Events per second", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, folder / "scale.png")


def _bars(axes: Axes, values: dict[str, float]) -> None:
    bars = axes.barh(list(values), list(values.values()), color=[_OURS if name == "ours" else _PEER for name in values])
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.set_ylim(len(values) - 0.5, -0.5)  # the first on top
    axes.margins(x=0.15)
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    # No date in the file: two runs with the same figures write the same picture.
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
