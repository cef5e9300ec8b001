"""What the functions counted, read from the metrics in their logs (CloudWatch embedded metric format)."""

import json
from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table

from functions.routes import ROUTES
from ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

OUTCOMES = ("Applied", "Duplicate", "Stale", "Rejected")

Outcomes = dict[str, Counter[str]]


def count_outcomes(stage: Stage, *, since_ms: int) -> Outcomes:
    """Per event name, how often each outcome was counted since `since_ms`, in milliseconds of the Unix epoch."""
    logs: CloudWatchLogsClient = stage.client("logs")
    counted: Outcomes = {route.event_name: Counter() for route in ROUTES}
    for group in stage.resources("processing", "AWS::Logs::LogGroup").values():
        lines = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since_ms)
        for line in lines.search("events[].message"):
            if not line.startswith('{"_aws"'):
                continue
            metrics = json.loads(line)
            if metrics["_aws"]["Timestamp"] >= since_ms and "event_name" in metrics:
                counted[metrics["event_name"]].update(
                    {name: int(sum(metrics[name])) for name in OUTCOMES if name in metrics}
                )
    return counted


def total(outcomes: Outcomes) -> int:
    """All outcomes together: one for each delivery that a function has dealt with."""
    return sum(counter.total() for counter in outcomes.values())


def outcomes_table(outcomes: Outcomes) -> Table:
    """The counts as a table with a closing sum."""
    table = Table("event", title="Outcomes", title_justify="left", show_footer=True)
    table.columns[0].footer = "all"
    for name in OUTCOMES:
        table.add_column(name.lower(), justify="right", footer=str(sum(counter[name] for counter in outcomes.values())))
    for event_name, counter in outcomes.items():
        table.add_row(event_name, *(str(counter[name]) for name in OUTCOMES))
    return table
