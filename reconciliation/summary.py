"""Builds the report of a run from its files, and checks whether its corrections may be published."""

from collections.abc import Mapping

from functions.routes import FAMILIES, Family
from functions.runtime import setting
from reconciliation.failure import STAGE_OPTION, LakeContradicts, TooManyCorrections
from reconciliation.items import item_count
from reconciliation.report import Counts, Report, family_counts, oldest
from reconciliation.rows import CanvasTable
from reconciliation.run_files import DECIDED, RunFiles
from reconciliation.step import RunState

_FAMILIES_OF: Mapping[str, tuple[Family, ...]] = {
    "ENROLLMENTS_TABLE": ("enrollment", "state"),
    "SIS_BATCHES_TABLE": ("import",),
}


def sum_counts(files: RunFiles) -> dict[Family, Counts]:
    """The counts of each record family, from the decided files."""
    sums = {family: Counts() for family in FAMILIES}
    for decided in files.read_all_json(files.names(DECIDED)):
        sums[decided.pop("family")] += Counts.from_dict(decided)
    return sums


def report_of(
    run: RunState, counts: Mapping[Family, Counts], *, at: Mapping[CanvasTable, str], as_of: Mapping[CanvasTable, str]
) -> Report:
    """The report of a run."""
    return Report(
        run=run["run"],
        number=run["number"],
        full=run["full"],
        dry_run=run["dry_run"],
        started_at=run["started_at"],
        families=family_counts(counts),
        corrections=sum(each.corrections for each in counts.values()),
        oldest_drift_seconds=oldest(counts.values()),
        at=at,
        as_of=as_of,
    )


def refuse_contradiction(counts: Mapping[Family, Counts]) -> None:
    """Reject a result that lacks changes which it must contain.

    Raises:
        LakeContradicts: the result lacks a recent event that is not after its as-of time.
    """
    contradictions = sum(each.contradictions for each in counts.values())
    if contradictions:
        raise LakeContradicts(
            f"{contradictions} rows of Canvas Data 2 lack a change that their result should have: the lake is further "
            "behind than margin_hours. Nothing is published. Run again in some hours: "
            f"ops reconcile {STAGE_OPTION}; if it fails for a day, raise margin_hours of the stage in stages.toml."
        )


def refuse_too_many(run: RunState, counts: Mapping[Family, Counts]) -> None:
    """Reject corrections above the limit, except those of a backfill. A dry run makes none.

    Raises:
        TooManyCorrections: more than the limit of a table, and more than a tenth above the report of `--force`.
    """
    if run["dry_run"] or run["expected"]:
        return
    total = sum(each.corrections for each in counts.values())
    if run["limit_of"] is not None and total <= run["limit_of"] * 11 // 10:
        return
    for variable, families in _FAMILIES_OF.items():
        corrections = sum(counts[family].corrections for family in families)
        limit = _limit(setting(variable))
        if corrections > limit:
            raise TooManyCorrections(
                f"{corrections} items of table {setting(variable)} would be corrected, more than the {limit} that a "
                f"run may correct unseen. Nothing is published. Read what it found: ops drift {STAGE_OPTION}; if it "
                f"is right: ops reconcile {STAGE_OPTION}{' --full' if run['full'] else ''} --force {run['run']}"
            )


def _limit(table: str) -> int:
    percent = float(setting("CORRECTION_LIMIT_PERCENT"))
    return max(int(setting("CORRECTION_LIMIT")), int(item_count(table) * percent / 100))
