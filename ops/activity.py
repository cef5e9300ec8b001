"""The activity of the event functions: outcomes, and when each event was last seen."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.table import Table

from functions.canvas.fields import format_timestamp
from functions.projection.change import Outcome
from functions.routes import ROUTES
from ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

OUTCOMES = (*Outcome, "Rejected")
"""Metrics, one of which counts each event that is finished, however often it was retried."""
RETRIED = "Retried"
RELAY = "relay"
"""The relay counts rejected and retried messages only."""
_COUNTED = (*OUTCOMES, RETRIED)
_COUNTING = (*(route.event_name for route in ROUTES), RELAY)

_LAST_SEEN_WITHIN = timedelta(days=14)
_PERIOD_SECONDS = 300


@dataclass
class Activity:
    """The number of outcomes and retries of one event, and when it was last seen."""

    outcomes: Counter[str] = field(default_factory=Counter)
    last_seen: datetime | None = None

    def count(self, outcome: str, number: int, at: datetime) -> None:
        """Add `number` of `outcome` at `at`."""
        self.outcomes[outcome] += number
        self.last_seen = max(at, self.last_seen or at)


Activities = dict[str, Activity]
"""By event name."""


def activity_of(stage: Stage, *, since: datetime) -> Activities:
    """The activity of all functions since then."""
    read = activity_in_logs if stage.settings.runs_on_emulator else activity_in_metrics
    return read(stage, since=since)


def activity_in_logs(stage: Stage, *, since: datetime) -> Activities:
    """The activity since then, from the logs of the functions: the emulator makes no metrics of them."""
    activities: Activities = {name: Activity() for name in _COUNTING}
    for metrics in _embedded_metrics(stage, since):
        at = datetime.fromtimestamp(metrics["_aws"]["Timestamp"] / 1000, UTC)
        for name in _COUNTED:
            if name in metrics and at >= since:
                activities[metrics.get("event_name", RELAY)].count(name, int(sum(metrics[name])), at)
    return activities


def activity_in_metrics(stage: Stage, *, since: datetime) -> Activities:
    """The activity since then, from CloudWatch. `last_seen` covers 14 days, to five minutes."""
    now = datetime.now(UTC)
    asked = [(name, outcome) for name in _COUNTING for outcome in _COUNTED]
    pages = (
        stage.client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(
            MetricDataQueries=[_query(stage, number, *metric) for number, metric in enumerate(asked)],
            StartTime=now - _LAST_SEEN_WITHIN,
            EndTime=now + timedelta(seconds=_PERIOD_SECONDS),
        )
    )
    activities: Activities = {name: Activity() for name in _COUNTING}
    for page in pages:
        for result in page["MetricDataResults"]:
            event_name, outcome = asked[int(result["Id"].removeprefix("m"))]
            for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                counts = at > since - timedelta(seconds=_PERIOD_SECONDS)
                activities[event_name].count(outcome, int(value) if counts else 0, at)
    return activities


def total(activities: Activities) -> int:
    """The number of events that the functions have finished."""
    events = [activity for counting, activity in activities.items() if counting != RELAY]
    return sum(activity.outcomes[name] for activity in events for name in OUTCOMES)


def retries(activities: Activities) -> int:
    """The number of failed messages that were delivered again."""
    return sum(activity.outcomes[RETRIED] for activity in activities.values())


def activity_table(activities: Activities, title: str) -> Table:
    """The counts as a table with a closing sum."""
    table = Table(title=title, title_justify="left", show_footer=True)
    table.add_column("event", overflow="fold")
    table.columns[0].footer = "all"
    for name in _COUNTED:
        number = sum(activity.outcomes[name] for activity in activities.values())
        table.add_column(name.lower(), justify="right", footer=str(number))
    table.add_column("last seen")
    for event_name, activity in activities.items():
        last_seen = format_timestamp(activity.last_seen)[:19] + "Z" if activity.last_seen else "-"
        table.add_row(event_name, *(str(activity.outcomes[name]) for name in _COUNTED), last_seen)
    return table


def _embedded_metrics(stage: Stage, since: datetime) -> Iterator[dict[str, Any]]:
    """The metrics in the logs of the functions, in the embedded metric format."""
    logs: CloudWatchLogsClient = stage.client("logs")
    for group in stage.resources("pipeline", "AWS::Logs::LogGroup").values():
        lines = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=int(since.timestamp() * 1000)
        )
        for line in lines.search("events[].message"):
            if line.startswith('{"_aws"'):
                yield json.loads(line)


def _query(stage: Stage, number: int, event_name: str, outcome: str) -> dict[str, Any]:
    metric = {
        "Namespace": stage.settings.metrics_namespace,
        "MetricName": outcome,
        "Dimensions": [] if event_name == RELAY else [{"Name": "event_name", "Value": event_name}],
    }
    return {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": _PERIOD_SECONDS, "Stat": "Sum"}}
