"""Judges a row that differs from its item: whether the item is wrong, newer than the row, or not comparable."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from functions.projection.change import AttributeValue
from functions.routes import CORRECTION_EVENTS
from reconciliation.as_of import version_time
from reconciliation.comparison import Candidate
from reconciliation.correction import Correction
from reconciliation.rows import FAMILY_OF
from reconciliation.verdict import Verdict

_BEHIND = timedelta(minutes=1)
_RECENT = timedelta(days=3)


class User(NamedTuple):
    """A user, in a full run."""

    name: str | None
    uuid: str | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """The complete result of one table.

    Attributes:
        at: the time until which the lake reports it as complete.
        as_of: every change that was announced at or before this time is in the result.
        number: the number of the run.
        now: the current time; later versions are invalid.
        root_account_id: the global id of the root account of the school.
    """

    at: str
    as_of: str
    number: int
    now: str
    root_account_id: str


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict and its consequences.

    Attributes:
        verdict: the verdict on the row.
        correction: the correction of a missing or drifted item.
        drift_seconds: for how long the item was wrong, at most.
        contradicts: whether the row lacks an event that is not after the as-of time.
    """

    verdict: Verdict
    correction: Correction | None = None
    drift_seconds: float | None = None
    contradicts: bool = False


def judge(candidate: Candidate, result: Result, *, user: User | None = None) -> Judgement:
    """The verdict on `candidate`, with the correction of an item that is missing or wrong.

    Args:
        candidate: a row that differs from its item.
        result: the result of the table of the row.
        user: the user of the enrollment, in a full run.
    """
    item = candidate.item
    names = _names(candidate, user)
    if item is not None and not candidate.differs and not _differ(names, item):
        return Judgement(verdict=Verdict.SAME)
    version = version_time(result.as_of, candidate.updated_at, number=result.number)
    if version > result.now:
        return Judgement(verdict=Verdict.UNKNOWN)
    correction = _correction(candidate, names, version, result)
    if item is None:
        return Judgement(verdict=Verdict.MISSING, correction=correction)
    event_time = str(item["event_time"])
    if _is_behind(candidate, event_time, result):
        return Judgement(verdict=Verdict.BEHIND, contradicts=event_time <= result.as_of)
    if event_time >= version:
        return Judgement(verdict=Verdict.UNDECIDED)
    since = max(event_time, candidate.updated_at or event_time)
    return Judgement(
        verdict=Verdict.DRIFTED,
        correction=correction,
        drift_seconds=max(0.0, (_instant(result.at) - _instant(since)).total_seconds()),
    )


def _names(candidate: Candidate, user: User | None) -> dict[str, AttributeValue | None]:
    """Names and uuids of the user and the course of the enrollment: those of `user`, otherwise those of the item.

    Those of the item are used only where it has the same user or course: a merge changes them.
    """
    if candidate.table != "enrollments":
        return {}
    item, body = candidate.item or {}, candidate.body
    same_user = item.get("user_id") == body["user_id"]
    same_course = item.get("course_id") == body["course_id"]
    name, uuid = user or User(None, None)
    return {
        "user_name": name if name is not None else item.get("user_name") if same_user else None,
        "user_uuid": uuid if uuid is not None else item.get("user_uuid") if same_user else None,
        "course_uuid": item.get("course_uuid") if same_course else None,
    }


def _differ(names: Mapping[str, AttributeValue | None], item: Mapping[str, AttributeValue | None]) -> bool:
    return any(item.get(name) != value for name, value in names.items())


def _is_behind(candidate: Candidate, event_time: str, result: Result) -> bool:
    """Whether the row is older than the item by `updated_at`, and the event of the item is recent.

    An older event may have been followed by a change without event that set `updated_at` back.
    """
    assert candidate.item is not None
    ours, theirs = candidate.item.get("updated_at"), candidate.updated_at
    if ours is None or theirs is None:
        return False
    return _instant(str(ours)) - _instant(theirs) > _BEHIND and _instant(result.at) - _instant(event_time) < _RECENT


def _correction(
    candidate: Candidate, names: Mapping[str, AttributeValue | None], event_time: str, result: Result
) -> Correction:
    body = {"enrollment_id": candidate.enrollment_id, **candidate.body, **names}
    return Correction(
        event_name=CORRECTION_EVENTS[FAMILY_OF[candidate.table]],
        event_time=event_time,
        root_account_id=result.root_account_id,
        body={name: value for name, value in body.items() if value is not None},
    )


def _instant(time: str) -> datetime:
    return datetime.fromisoformat(time)
