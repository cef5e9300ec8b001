"""The documents in `docs/performance/`: the templates beside this file, filled with what a run found."""

from collections.abc import Iterable
from pathlib import Path
from string import Template

from bench import cost, pictures
from bench.events import KINDS
from bench.measure import IMPORTS
from bench.results import Results
from bench.targets import Verdict
from infra.settings import settings_of

_TEMPLATES = Path(__file__).parent
_BUS = {"bus", "archive"}
_MACHINE = {"date", "processor", "cores", "system"}


def write(results: Results, judged: list[Verdict], folder: Path) -> None:
    """Write README.md, cost.md and the pictures into `folder`."""
    pictures.draw(results, folder)
    for name, values in (("README.md", _measured(results, judged)), ("cost.md", _priced(results))):
        template = Template((_TEMPLATES / f"{name}.template").read_text())
        (folder / name).write_text(template.substitute(values, surroundings=_surroundings(results)))


def _measured(results: Results, judged: list[Verdict]) -> dict[str, str]:
    programs = list(results.warm_instructions)
    floor = results.warm_instructions["floor"]["in order"]
    return {
        "targets": _table(
            ("target", "measured", "limit", ""),
            ((v.target, f"{v.measured:.3f}", f"{v.limit:.3f}", "met" if v.met else "**missed**") for v in judged),
        ),
        "warm_instructions": _table(
            ("thousands of instructions", *KINDS, "in order, times the floor"),
            (
                (
                    name,
                    *(f"{results.warm_instructions[name][kind] / 1000:,.0f}" for kind in KINDS),
                    f"{results.warm_instructions[name]['in order'] / floor:.1f}",
                )
                for name in programs
            ),
        ),
        "warm_cpu": _table(
            ("CPU, milliseconds", *KINDS),
            ((name, *(f"{results.warm_cpu_seconds[name][kind] * 1e3:.2f}" for kind in KINDS)) for name in programs),
        ),
        "cold": _table(
            (
                *("", "instructions, millions", "CPU, ms", "peak memory, MB"),
                *("first invoke in Lambda's runtime, ms", "zipped asset, MB"),
            ),
            (
                (
                    name,
                    f"{results.cold_instructions[name] / 1e6:,.0f}",
                    f"{results.cold_cpu_seconds[name] * 1e3:,.0f}",
                    f"{results.cold_peak_bytes[name] / 1e6:,.0f}",
                    f"{results.first_invoke_seconds[name] * 1e3:,.0f}",
                    f"{results.zipped_bytes[name] / 1e6:,.1f}",
                )
                for name in programs
            ),
        ),
        "requests": _table(
            (f"per event, {' / '.join(KINDS)}", "requests", "units of tables", "units of indexes"),
            (
                (
                    name,
                    *(
                        " / ".join(f"{found[name][kind]:g}" for kind in KINDS)
                        for found in (results.requests, results.table_units, results.index_units)
                    ),
                )
                for name in (*programs, IMPORTS)
            ),
        ),
        "scale": _table(
            ("execution environments writing at once", "events per second", "times one"),
            (
                (workers, f"{rate:,.0f}", f"{rate / results.events_per_second['1']:.1f}")
                for workers, rate in results.events_per_second.items()
            ),
        ),
        "changed_table_units": f"{results.projected_change_units[0]:g}",
        "changed_index_units": f"{results.projected_change_units[1]:g}",
        "put_events_calls": f"{results.put_events_calls:g}",
        "cores": results.surroundings["cores"],
    }


def _priced(results: Results) -> dict[str, str]:
    memory = settings_of("prod").memory_mib
    ours = cost.bill(results)
    total = sum(line.dollars for line in ours)
    warm = results.warm_cpu_seconds["ours"]["in order"]
    return {
        "bill": _table(
            ("part", "how much", "dollars"),
            [
                *((line.part, line.how_much, f"{line.dollars:.2f}") for line in ours),
                ("**all**", "", f"**{total:.2f}**"),
            ],
        ),
        "memory_sizes": _table(
            ("MiB", "in-order event, ms", "duration of a million, dollars"),
            (
                (
                    f"**{size}**" if size == memory else str(size),
                    f"{cost.invocation_seconds(warm, size) * 1e3:.1f}",
                    f"{cost.function_dollars(results, size):.2f}",
                )
                for size in cost.MEMORY_SIZES
            ),
        ),
        "alternatives": _table(
            ("design", "what one gets", "dollars per million"),
            ((line.part, line.how_much, f"{line.dollars:.2f}") for line in cost.alternatives(results)),
        ),
        "prices": _table(
            ("price", "dollars", "source"),
            ((name, f"{price:.10f}".rstrip("0"), source) for name, (price, source) in cost.PRICES.items()),
        ),
        "peak": f"{results.cold_peak_bytes['ours'] / 2**20:.0f}",
        "memory": str(memory),
        "bus_share": f"{100 * sum(line.dollars for line in ours if line.part in _BUS) / total:.0f}",
        "cold": f"{results.cold_cpu_seconds['ours']:.1f}",
    }


def _surroundings(results: Results) -> str:
    told = results.surroundings
    versions = ", ".join(f"{name} {value}" for name, value in told.items() if name not in _MACHINE)
    return f"Measured on {told['date']}: {told['processor']}, {told['cores']} cores, {told['system']}; {versions}."


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(heads), *map(tuple, rows)]
    lines.insert(1, ("---",) * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
