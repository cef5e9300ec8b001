"""Judges a SIS import as Canvas' REST API shows it: Canvas Data 2 has no table of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from functions.canvas.fields import format_timestamp, parse_timestamp
from functions.canvas.ids import local_id
from reconciliation.as_of import version_time
from reconciliation.correction import Correction
from reconciliation.verdict import Judgement, Verdict

_CLOCK_SKEW = timedelta(seconds=5)
"""The most by which the clocks of Canvas' servers differ."""

_ENDED = frozenset({"imported", "imported_with_messages", "failed", "failed_with_messages"})
_UPDATED = frozenset({"aborted", "partially_restored", "restored"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SisImportAnswer:
    """What Canvas says of one import. Times are whole seconds, `None` where Canvas does not tell.

    Source: canvas-lms, `SisBatch#as_json`.
    """

    sis_batch_id: int
    workflow_state: str
    ended_at: str | None
    updated_at: str | None

    @property
    def entered_at(self) -> str | None:
        """When the import entered its state, where Canvas tells, in the stored form.

        `updated_at` of an aborted import is "not later": aborting all pending imports does not stamp it.
        """
        if self.workflow_state in _ENDED:
            told = self.ended_at
        elif self.workflow_state in _UPDATED:
            told = self.updated_at
        else:
            told = None
        return None if told is None else parse_timestamp(told)


class StoredImport(NamedTuple):
    """What the item of an import says: its state, and the `event_time` of it."""

    workflow_state: str
    event_time: str


def import_version_time(page_date: datetime, elapsed: timedelta, *, number: int) -> str:
    """The time of an answer that has none of its own: before the answer was made.

    Args:
        page_date: the header `Date` of the page.
        elapsed: how long the request took.
        number: of the run.
    """
    return version_time(format_timestamp(page_date - elapsed - _CLOCK_SKEW), None, number=number)


def judge_import(
    answer: SisImportAnswer,
    item: StoredImport | None,
    *,
    version_time: str,
    now: str,
    root_account_id: str,
) -> Judgement:
    """The verdict on one import, with the correction of an item that is missing or wrong.

    Args:
        answer: what Canvas says.
        item: what our table says, `None` where it does not have the import.
        version_time: `import_version_time` of the answer's page.
        now: a version after it cannot be right.
        root_account_id: the account of which the imports are, global.
    """
    if item is not None and item.workflow_state == answer.workflow_state:
        return Judgement(verdict=Verdict.SAME)
    event_time = version_time
    # Whole seconds: only where that is surely after what the item has.
    if answer.entered_at is not None and (item is None or answer.entered_at > item.event_time):
        event_time = answer.entered_at
    if event_time > now:
        return Judgement(verdict=Verdict.UNKNOWN)
    correction = Correction(
        event_name="sis_batch_updated",
        event_time=event_time,
        root_account_id=root_account_id,
        body={
            "sis_batch_id": str(answer.sis_batch_id),
            "account_id": str(local_id(root_account_id)),
            "workflow_state": answer.workflow_state,
        },
    )
    if item is None:
        return Judgement(verdict=Verdict.MISSING, correction=correction)
    if item.event_time >= event_time:
        return Judgement(verdict=Verdict.UNDECIDED)
    since = max(item.event_time, answer.entered_at or item.event_time)
    drift = datetime.fromisoformat(now) - datetime.fromisoformat(since)
    return Judgement(verdict=Verdict.DRIFTED, correction=correction, drift_seconds=max(0.0, drift.total_seconds()))
