"""What the project promises of its own speed: ratios within one run, so that they hold on any machine."""

from dataclasses import dataclass

from bench.results import Results

_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Verdict:
    """One target, and whether a run met it. `measured` and `limit` are in the unit that `target` names."""

    target: str
    measured: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether it was."""
        return self.measured <= self.limit


def verdicts(results: Results) -> list[Verdict]:
    """Every target against `results`, which must be those of a full run."""
    warm, cold, peak = results.warm_instructions, results.cold_instructions, results.cold_peak_bytes
    in_order = warm["ours"]["in order"]
    return [
        Verdict("in-order event, instructions, of typical", in_order / warm["typical"]["in order"], 0.2),
        Verdict("in-order event, instructions, of the floor", in_order / warm["floor"]["in order"], 3),
        Verdict("duplicate, instructions, of in order", warm["ours"]["duplicate"] / in_order, 1.15),
        Verdict("stale event, instructions, of in order", warm["ours"]["stale"] / in_order, 1.15),
        Verdict("cold start, instructions, of typical", cold["ours"] / cold["typical"], 0.65),
        Verdict("cold start, peak memory, of typical", peak["ours"] / peak["typical"], 0.75),
        Verdict("requests for an in-order event", results.requests["ours"]["in order"], 1),
        Verdict(
            "write units where no projected attribute changes",
            results.table_units["ours"]["in order"] + results.index_units["ours"]["in order"],
            1,
        ),
        Verdict("zipped asset, MB", results.zipped_bytes["ours"] / _MEGABYTE, 12),
        Verdict("PutEvents calls of the relay for an event", results.put_events_calls, 1 / 8),
    ]
