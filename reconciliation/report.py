"""The counts and the report of a run."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from functions.routes import FAMILIES, Family
from reconciliation.judgement import Judgement
from reconciliation.rows import CanvasTable
from reconciliation.verdict import CORRECTED, Verdict


@dataclass(kw_only=True)
class Counts:
    """The counts of one record family.

    Attributes:
        rows: the number of rows compared.
        verdicts: the number of rows by verdict.
        corrections: the number of items to correct.
        oldest_drift_seconds: the longest time for which an item was wrong, at most.
        contradictions: the number of rows that lack a change which the result must contain.
    """

    rows: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    corrections: int = 0
    oldest_drift_seconds: float | None = None
    contradictions: int = 0

    def add(self, judgement: Judgement) -> None:
        """Count the judgement of one row. The caller counts `rows`."""
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
        """Convert to JSON values."""
        return asdict(self) | {"verdicts": dict(self.verdicts)}

    @classmethod
    def from_dict(cls, counts: Mapping[str, Any]) -> Self:
        """Convert from the values of `to_dict`."""
        return cls(**{**counts, "verdicts": Counter(counts["verdicts"])})


@dataclass(frozen=True, kw_only=True)
class Report:
    """The report of a run. It contains no personal data.

    Attributes:
        run: the name of the execution.
        number: the number of the run.
        full: whether whole tables were compared, instead of recent changes.
        dry_run: whether nothing was published.
        started_at: when the run started, ISO 8601.
        families: by record family, the number of `rows` and of each verdict.
        corrections: the number of items that were corrected, or would have been.
        oldest_drift_seconds: the longest time for which an item was wrong, at most.
        at: by table of Canvas Data 2, the time until which the lake reports the result as complete.
        as_of: by table of Canvas Data 2, the as-of time of the result.
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
        """The number of items that were missing or wrong."""
        return sum(counts[verdict] for counts in self.families.values() for verdict in CORRECTED)

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, report: Mapping[str, Any]) -> Self:
        """Convert from the values of `to_dict`."""
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
