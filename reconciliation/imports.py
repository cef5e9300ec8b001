"""Judges a SIS import by comparing the REST API of Canvas with the item of the table."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from functions.canvas.fields import format_timestamp, parse_timestamp
from functions.canvas.ids import local_id
from functions.routes import CORRECTION_EVENTS
from reconciliation.as_of import CLOCK_SKEW, version_time
from reconciliation.correction import Correction
from reconciliation.judgement import Judgement
from reconciliation.verdict import Verdict

_ENDED = frozenset({"imported", "imported_with_messages", "failed", "failed_with_messages"})
_UPDATED = frozenset({"aborted", "partially_restored", "restored"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SisImportAnswer:
    """An import in a response of Canvas. Times have whole seconds, and are `None` where Canvas has none.

    Source: canvas-lms, `SisBatch#as_json`.
    """

    sis_batch_id: int
    workflow_state: str
    ended_at: str | None
    updated_at: str | None

    @property
    def entered_at(self) -> str | None:
        """When the import entered its state, in the stored form; `None` where Canvas does not record it.

        A lower bound for an aborted import: aborting all pending imports does not change `updated_at`.
        """
        if self.workflow_state in _ENDED:
            entered_at = self.ended_at
        elif self.workflow_state in _UPDATED:
            entered_at = self.updated_at
        else:
            entered_at = None
        return None if entered_at is None else parse_timestamp(entered_at)


class StoredImport(NamedTuple):
    """The state of an import in the table, and its `event_time`."""

    workflow_state: str
    event_time: str


def import_version_time(page_date: datetime, elapsed: timedelta, *, number: int) -> str:
    """The time of an import without `entered_at`: before Canvas made the response.

    Args:
        page_date: the header `Date` of the response.
        elapsed: the duration of the request.
        number: the number of the run.
    """
    return version_time(format_timestamp(page_date - elapsed - CLOCK_SKEW), None, number=number)


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
        answer: the import in Canvas.
        item: the import in the table, `None` where it is missing.
        version_time: `import_version_time` of the response.
        now: the current time; later versions are invalid.
        root_account_id: the global id of the account of the import.
    """
    if item is not None and item.workflow_state == answer.workflow_state:
        return Judgement(verdict=Verdict.SAME)
    event_time = version_time
    # It has whole seconds, so it is used only where it is certainly newer than the item.
    if answer.entered_at is not None and (item is None or answer.entered_at > item.event_time):
        event_time = answer.entered_at
    if event_time > now:
        return Judgement(verdict=Verdict.UNKNOWN)
    correction = Correction(
        event_name=CORRECTION_EVENTS["import"],
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
