"""Replays: errors of those that cannot start, and the selection of events."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from ops.failure import OperatorError
from ops.replay import follow_replay, start_replay
from tests.unit.ops.stages import ON_THE_EMULATOR, OUTPUTS, ScriptedClient, made_up_stage

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
AN_HOUR = timedelta(hours=1)


def start(stage, begin=NOW - 2 * AN_HOUR, end=NOW - AN_HOUR, **options):
    return start_replay(stage, begin, end, now=NOW, **options)


def test_a_span_that_ends_before_it_begins_is_refused(aws):
    with pytest.raises(OperatorError, match="--from must be before --to"):
        start(made_up_stage(), NOW, NOW)


def test_a_span_whose_end_is_younger_than_ten_minutes_is_refused(aws):
    with pytest.raises(OperatorError, match=r"at least 10 minutes ago.*: 2026-11-01T11:50:00Z or earlier"):
        start(made_up_stage(), end=NOW - timedelta(minutes=9))


def test_the_emulator_archives_at_once(aws):
    boto3.client("events").create_event_bus(Name=OUTPUTS["EventBus"])
    with pytest.raises(OperatorError, match="has no archive"):
        start(made_up_stage(**ON_THE_EMULATOR), end=NOW)


def test_a_bus_without_an_archive_is_refused(aws):
    boto3.client("events").create_event_bus(Name=OUTPUTS["EventBus"])
    with pytest.raises(OperatorError, match=r"Set archive_days in stages.toml, then: make deploy STAGE=test"):
        start(made_up_stage())


def test_a_replay_is_followed_to_its_end(aws):
    # GIVEN an archived bus
    events = boto3.client("events")
    bus = events.create_event_bus(Name=OUTPUTS["EventBus"])["EventBusArn"]
    events.create_archive(ArchiveName="archive", EventSourceArn=bus)

    # WHEN an hour is replayed
    stage = made_up_stage()
    *_, last = follow_replay(stage, start(stage))

    # THEN the last reported state is the end
    assert (last.state, last.share) == ("COMPLETED", 1.0)


@pytest.fixture
def replayed():
    """Destinations of all replays."""
    return []


@pytest.fixture
def stage(replayed):
    rules = [
        {"Arn": "arn:of-the-archive", "EventPattern": json.dumps({"account": ["123456789012"]})},
        {"Arn": "arn:of-created", "EventPattern": json.dumps({"detail-type": ["sis_batch_created"]})},
        {"Arn": "arn:of-updated", "EventPattern": json.dumps({"detail-type": ["sis_batch_updated"]})},
        {"Arn": "arn:of-a-schedule", "ScheduleExpression": "rate(1 hour)"},
    ]
    events = ScriptedClient(
        describe_event_bus={"Arn": "bus"},
        list_archives={"Archives": [{"ArchiveName": "archive"}]},
        describe_archive={"ArchiveArn": "archive", "EventSourceArn": "bus"},
        list_rules={"Rules": rules},
        start_replay=lambda **request: replayed.append(request["Destination"]),
    )
    return made_up_stage(clients={"events": events})


def test_one_event_is_replayed_to_its_rule_only(stage, replayed):
    start(stage, event_name="sis_batch_updated")
    start(stage)
    assert replayed == [{"Arn": "bus", "FilterArns": ["arn:of-updated"]}, {"Arn": "bus"}]


@pytest.mark.parametrize(
    ("event_name", "message"),
    [("sis_batch", "--event takes one of: enrollment_created"), ("enrollment_created", "has no rule for enrollment_c")],
)
def test_an_event_without_a_rule_is_refused(stage, replayed, event_name, message):
    with pytest.raises(OperatorError, match=message):
        start(stage, event_name=event_name)
    assert replayed == []
