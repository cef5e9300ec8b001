"""Counts and the report of a run. Pure: the command line reads reports, too."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self, get_args

from reconciliation.rows import CanvasTable, Family
from reconciliation.verdict import Judgement, Verdict

FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(kw_only=True)
class Counts:
    """What was found in the rows of one record family.

    Attributes:
        rows: how many were compared.
        verdicts: how many of each.
        corrections: how many items are to be corrected.
        oldest_drift_seconds: for how long the item that was wrong for longest had been wrong, at most.
        contradictions: rows that lack a change which the result should have.
    """

    rows: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    corrections: int = 0
    oldest_drift_seconds: float | None = None
    contradictions: int = 0

    def add(self, judgement: Judgement) -> None:
        """Count the judgement of one row. `rows` is counted where rows are read."""
        self.verdicts[judgement.verdict.value] += 1
        self.corrections += judgement.correction is not None
        self.contradictions += judgement.contradicts
        self._raise_oldest_drift(judgement.drift_seconds)

    def __iadd__(self, other: Self) -> Self:
        self.rows += other.rows
        self.verdicts += other.verdicts
        self.corrections += other.corrections
        self.contradictions += other.contradictions
        self._raise_oldest_drift(other.oldest_drift_seconds)
        return self

    def _raise_oldest_drift(self, seconds: float | None) -> None:
        if seconds is not None:
            self.oldest_drift_seconds = max(seconds, self.oldest_drift_seconds or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"verdicts": dict(self.verdicts)}

    @classmethod
    def from_dict(cls, counts: Mapping[str, Any]) -> Self:
        """What `to_dict` returned."""
        return cls(**{**counts, "verdicts": Counter(counts["verdicts"])})


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run found. It holds no personal data.

    Attributes:
        run: the name of the execution.
        number: of the run.
        full: whether whole tables were compared, instead of what changed recently.
        dry_run: whether nothing was published.
        started_at: when the run started, ISO 8601.
        families: by record family: `rows`, and how many of each verdict.
        corrections: how many items were corrected, or would have been.
        oldest_drift_seconds: for how long the item that was wrong for longest had been wrong, at most.
        at: by table of Canvas Data 2, until when the lake says that the result is complete.
        as_of: by table of Canvas Data 2, the time such that every change announced until then is in the result.
    """

    run: str
    number: int
    full: bool
    dry_run: bool
    started_at: str
    families: Mapping[Family, Mapping[str, int]]
    corrections: int
    oldest_drift_seconds: int | None
    at: Mapping[CanvasTable, str]
    as_of: Mapping[CanvasTable, str]

    @property
    def drift(self) -> int:
        """How many items were missing or wrong."""
        return sum(counts[verdict] for counts in self.families.values() for verdict in ("missing", "drifted"))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, report: Mapping[str, Any]) -> Self:
        """What `to_dict` returned."""
        return cls(**report)


def family_counts(counts: Mapping[Family, Counts]) -> dict[Family, dict[str, int]]:
    """`Report.families`: every family with every verdict."""
    return {
        family: {"rows": counts[family].rows}
        | {verdict.value: counts[family].verdicts[verdict.value] for verdict in Verdict}
        for family in FAMILIES
    }


def oldest(counts: Iterable[Counts]) -> int | None:
    """The greatest of `oldest_drift_seconds`, in whole seconds."""
    known = [each.oldest_drift_seconds for each in counts if each.oldest_drift_seconds is not None]
    return round(max(known)) if known else None
