"""Replays that cannot start say why."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest

from ops.failure import OperatorError
from ops.replay import follow_replay, start_replay
from ops.stage import Stage

NOW = datetime(2026, 11, 1, tzinfo=UTC)
STAGE = Stage("test", {"EventBus": "canvas-live-events-test"})


def test_a_span_that_ends_before_it_begins_is_refused(aws):
    with pytest.raises(OperatorError, match="--from must be before --to"):
        start_replay(STAGE, NOW, NOW)


def test_a_bus_without_an_archive_is_refused(aws):
    boto3.client("events").create_event_bus(Name=STAGE.event_bus)
    with pytest.raises(OperatorError, match="has no archive: set archive_days"):
        start_replay(STAGE, NOW - timedelta(hours=1), NOW)


def test_a_replay_is_followed_to_its_end(aws):
    # GIVEN an archived bus
    events = boto3.client("events")
    bus = events.create_event_bus(Name=STAGE.event_bus)["EventBusArn"]
    events.create_archive(ArchiveName="archive", EventSourceArn=bus)

    # WHEN an hour is replayed
    *_, last = follow_replay(STAGE, start_replay(STAGE, NOW - timedelta(hours=1), NOW))

    # THEN the last that is heard of it is its end
    assert (last.state, last.share) == ("COMPLETED", 1.0)
