"""The verdict on a SIS import, as Canvas' REST API shows it."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciliation.imports import SisImportAnswer, StoredImport, import_version_time, judge_import
from reconciliation.verdict import Verdict

PAGE = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = "2026-11-20T12:00:30.000000Z"
VERSION = import_version_time(PAGE, timedelta(seconds=2), number=6)
ENDED = "2026-11-20T10:00:00Z"


def answer(state="imported", *, ended_at=None, updated_at=None):
    return SisImportAnswer(sis_batch_id=77, workflow_state=state, ended_at=ended_at, updated_at=updated_at)


def judged(told, *, event_time="2026-11-20T09:00:00.000000Z", state="importing"):
    return judge_import(
        told,
        StoredImport(state, event_time) if event_time else None,
        version_time=VERSION,
        now=NOW,
        root_account_id="21070000000000001",
    )


def test_the_time_of_an_answer_is_before_it_was_made():
    assert VERSION == "2026-11-20T11:59:53.000007Z"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (answer("imported", ended_at=ENDED), "2026-11-20T10:00:00.000000Z"),
        (answer("imported_with_messages", ended_at=ENDED), "2026-11-20T10:00:00.000000Z"),
        (answer("failed", ended_at=ENDED), "2026-11-20T10:00:00.000000Z"),
        (answer("failed_with_messages", ended_at=ENDED), "2026-11-20T10:00:00.000000Z"),
        (answer("aborted", updated_at=ENDED), "2026-11-20T10:00:00.000000Z"),
        (answer("restored", updated_at=ENDED), "2026-11-20T10:00:00.000000Z"),
        (answer("partially_restored", updated_at=ENDED), "2026-11-20T10:00:00.000000Z"),
        # What is told is of another state.
        (answer("imported", updated_at=ENDED), VERSION),
        (answer("aborted", ended_at=ENDED), VERSION),
        (answer("cleanup_batch", ended_at=ENDED, updated_at=ENDED), VERSION),
        (answer("restoring", ended_at=ENDED, updated_at=ENDED), VERSION),
        # Not later than what the item has.
        (answer("imported", ended_at="2026-11-20T09:00:00Z"), VERSION),
        (answer("aborted", updated_at="2026-11-20T08:00:00Z"), VERSION),
    ],
)
def test_a_wrong_import_is_corrected_with_the_time_that_canvas_tells_or_that_of_the_page(told, expected):
    judgement = judged(told)

    assert judgement.verdict == Verdict.DRIFTED
    assert judgement.correction.event_time == expected
    assert judgement.correction.body == {
        "sis_batch_id": "77",
        "account_id": "1",
        "workflow_state": told.workflow_state,
    }
    assert judgement.correction.root_account_id == "21070000000000001"


def test_drift_began_when_the_import_ended_or_after_what_the_item_says():
    assert judged(answer(ended_at=ENDED)).drift_seconds == 2 * 3600 + 30
    assert judged(answer("cleanup_batch")).drift_seconds == 3 * 3600 + 30


def test_the_same_state_is_left_alone():
    assert judged(answer("importing")).verdict == Verdict.SAME


@pytest.mark.parametrize("event_time", [VERSION, "2026-11-20T11:59:59.000000Z"])
def test_an_item_that_is_newer_than_the_answer_is_undecided(event_time):
    judgement = judged(answer("cleanup_batch"), event_time=event_time)

    assert judgement.verdict == Verdict.UNDECIDED
    assert judgement.correction is None


@pytest.mark.parametrize(
    ("told", "expected"), [(answer(ended_at=ENDED), "2026-11-20T10:00:00.000000Z"), (answer("importing"), VERSION)]
)
def test_a_missing_import_is_corrected(told, expected):
    judgement = judged(told, event_time=None)

    assert judgement.verdict == Verdict.MISSING
    assert judgement.correction.event_time == expected


def test_an_end_at_this_very_moment_is_no_drift_yet():
    judgement = judged(answer(ended_at="2026-11-20T12:00:30Z"))

    assert (judgement.verdict, judgement.drift_seconds) == (Verdict.DRIFTED, 0)


def test_an_end_in_the_future_is_unknown():
    assert judged(answer(ended_at="2026-11-20T13:00:00Z")).verdict == Verdict.UNKNOWN
