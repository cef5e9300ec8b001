"""Outcomes of the last hour, and the time of the last event, from CloudWatch metrics."""

from datetime import UTC, datetime, timedelta

import boto3

from ops.activity import activity_in_metrics, total
from tests.unit.ops.stages import made_up_stage


def test_outcomes_are_counted_for_the_hour_and_seen_for_a_fortnight(aws):
    # GIVEN metrics from now and from yesterday
    now = datetime.now(UTC)
    cloudwatch = boto3.client("cloudwatch")
    for event_name, outcome, value, at in (
        ("enrollment_created", "Applied", 3, now - timedelta(minutes=20)),
        ("enrollment_created", "Stale", 1, now - timedelta(minutes=10)),
        ("sis_batch_updated", "Applied", 7, now - timedelta(days=1)),
    ):
        datum = {"MetricName": outcome, "Value": value, "Timestamp": at}
        datum["Dimensions"] = [{"Name": "event_name", "Value": event_name}]
        cloudwatch.put_metric_data(Namespace="CanvasLiveState/test", MetricData=[datum])

    # WHEN the last hour is queried
    activities = activity_in_metrics(made_up_stage(), since=now - timedelta(hours=1))

    # THEN only its outcomes are counted, and older events have a last time
    assert activities["enrollment_created"].outcomes == {"Applied": 3, "Stale": 1}
    assert total(activities) == 4
    last_seen = activities["sis_batch_updated"].last_seen
    assert last_seen
    assert now - last_seen < timedelta(days=1, minutes=10)
    assert activities["enrollment_updated"].last_seen is None
