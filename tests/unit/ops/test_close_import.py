"""An import that Canvas never ends is ended by an event, and only by one."""

from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from ops.close_import import close_import
from ops.failure import OperatorError
from testbed.events import example
from tests.unit.ops.pipeline import MemoryReader, Pipeline
from tests.unit.ops.stages import made_up_stage

ACCOUNT = "21070000000000001"


@pytest.fixture
def pipeline():
    """A pipeline that has seen import 7 begin, an hour ago."""
    pipeline = Pipeline()
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    put(pipeline, "importing", an_hour_ago)
    return pipeline


def put(pipeline, state, at):
    metadata = {"event_time": at, "root_account_id": ACCOUNT}
    body = {"sis_batch_id": "7", "account_id": "1", "workflow_state": state}
    pipeline.apply(example("sis_batch_updated", metadata=metadata, body=body))


@pytest.fixture
def stage(pipeline):
    stage = made_up_stage(clients={"events": pipeline})
    vars(stage).update(reader=MemoryReader(pipeline))
    return stage


def test_an_unfinished_import_is_closed_by_an_ordinary_event_of_our_own(stage, pipeline, monkeypatch):
    # GIVEN the event bus
    put_events = Mock(wraps=pipeline.put_events)
    monkeypatch.setattr(pipeline, "put_events", put_events)

    # WHEN an operator closes the import, THEN the table has it as aborted, with when it was
    closed = close_import(stage, ACCOUNT, "7", "aborted")
    assert closed.workflow_state == "aborted"
    assert list(closed.timeline) == ["importing", "aborted"]
    assert datetime.now(UTC) - closed.event_time < timedelta(minutes=1)

    # THEN the event is one that the rules match, and says who made it
    (entry,) = put_events.call_args.kwargs["Entries"]
    assert (entry["Source"], entry["DetailType"]) == ("canvas-live-state", "sis_batch_updated")
    assert entry["EventBusName"] == stage.event_bus
    assert '"producer": "canvas-live-state"' in entry["Detail"]


def test_an_import_whose_newest_event_is_of_the_near_future_is_closed_all_the_same(stage, pipeline):
    put(pipeline, "importing", (datetime.now(UTC) + timedelta(minutes=10)).isoformat())
    assert close_import(stage, ACCOUNT, "7", "failed").workflow_state == "failed"


@pytest.mark.parametrize(
    ("account", "number", "state", "message"),
    [
        (ACCOUNT, "8", "aborted", "The table has no import 21070000000000001/8.*ops show imports 21070000000000001"),
        ("1", "7", "aborted", r"no import 1/7. The account's id is global"),
        (ACCOUNT, "7", "importing", "--as takes a state in which an import ends: imported,"),
        (ACCOUNT, "7", "cancelled", "--as takes a state in which an import ends"),
        ("the school", "7", "aborted", "are positive numbers"),
    ],
)
def test_what_cannot_be_closed_is_refused(stage, pipeline, account, number, state, message):
    before = repr(pipeline.items)
    with pytest.raises(OperatorError, match=message):
        close_import(stage, account, number, state)
    assert repr(pipeline.items) == before


def test_an_import_that_has_ended_is_not_closed_again(stage):
    close_import(stage, ACCOUNT, "7", "imported")
    with pytest.raises(OperatorError, match=r"21070000000000001/7 is not unfinished: it is imported since 20"):
        close_import(stage, ACCOUNT, "7", "aborted")


def test_an_event_that_does_not_arrive_is_said_to_be_on_its_way(stage, pipeline):
    pipeline.broken = {"sis_batch_updated"}
    with pytest.raises(OperatorError, match=r"does not have it after 0 seconds.*24 hours.*ops status --stage test"):
        close_import(stage, ACCOUNT, "7", "aborted", timeout_seconds=0)


def test_a_newer_event_of_canvas_wins(stage, pipeline, monkeypatch):
    put_events = pipeline.put_events

    def canvas_answers(*, Entries):  # noqa: N803
        answer = put_events(Entries=Entries)
        put(pipeline, "restoring", (datetime.now(UTC) + timedelta(seconds=5)).isoformat())
        return answer

    monkeypatch.setattr(pipeline, "put_events", canvas_answers)
    with pytest.raises(OperatorError, match=r"Canvas sent a newer event meanwhile: .* is restoring now"):
        close_import(stage, ACCOUNT, "7", "aborted")


def test_a_bus_that_refuses_is_said_to_have(stage, pipeline, monkeypatch):
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
    monkeypatch.setattr(pipeline, "put_events", lambda **_: refused)
    with pytest.raises(OperatorError, match=r"did not accept the event \(InternalFailure\)"):
        close_import(stage, ACCOUNT, "7", "aborted")
