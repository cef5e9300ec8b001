"""Triggers and resets one alarm of each severity, and checks that CloudWatch notifies its topic."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.settings import SEVERITIES
from ops.stage import Stage
from ops.verify.report import Check, failed, ok, warning
from ops.waiting import wait_for

_REASON = "ops verify --alarms: a test, nothing is wrong"
_TIMEOUT_SECONDS = 60


def check_alarm_path(stage: Stage, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> Iterator[Check]:
    """Trigger an alarm of each severity, wait for its action, and restore its state."""
    alarms = _alarms(stage)
    for severity in SEVERITIES:
        topic = stage.output("pipeline", f"{severity.capitalize()}TopicArn")
        quiet = [alarm for alarm in alarms if topic in alarm["AlarmActions"] and alarm["StateValue"] != "ALARM"]
        if quiet:
            yield _set_off(stage, severity, quiet[0], timeout_seconds)
        elif any(topic in alarm["AlarmActions"] for alarm in alarms):
            yield warning(f"{severity} alarm", "every one is in alarm already", f"ops status {stage.ops_options}")
        elif stage.settings.runs_on_emulator:
            yield ok(f"{severity} alarm", "none on the emulator, which has no metric math")
        else:
            yield failed(f"{severity} alarm", "none notifies its topic", stage.deploy_command)


def _set_off(stage: Stage, severity: str, alarm: dict[str, Any], timeout_seconds: float) -> Check:
    """Trigger and reset `alarm`.

    CloudWatch invokes the action of the new state, and evaluates the alarm again within seconds. Source: CloudWatch API
    reference, "SetAlarmState".
    """
    name, check = alarm["AlarmName"], f"{severity} alarm"
    cloudwatch = stage.client("cloudwatch")
    # The clock of CloudWatch may be behind.
    since = datetime.now(UTC) - timedelta(seconds=30)
    actions: list[str] = []

    def acted() -> bool:
        actions[:] = _actions(stage, name, since)
        return bool(actions)

    try:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason=_REASON)
        has_acted = wait_for(acted, seconds=0 if stage.settings.runs_on_emulator else timeout_seconds)
    finally:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=alarm["StateValue"], StateReason=_REASON)
    expect = f"expect a notification of {name}"
    if not has_acted:
        if stage.settings.runs_on_emulator:
            return ok(check, f"{name} was set off and back; the emulator records no actions")
        return warning(
            check, f"CloudWatch recorded no action yet; {expect}", "Without one, no subscription of the topic works."
        )
    if refused := [summary for summary in actions if not summary.startswith("Successfully")]:
        return failed(check, refused[0], "Does the topic's policy admit cloudwatch.amazonaws.com? Its key, too?")
    return ok(check, f"its topic was notified; {expect}, and of its recovery")


def _alarms(stage: Stage) -> list[dict[str, Any]]:
    pages = stage.client("cloudwatch").get_paginator("describe_alarms")
    return list(pages.paginate(AlarmNamePrefix=stage.settings.stack_name("pipeline")).search("MetricAlarms[]"))


def _actions(stage: Stage, alarm: str, since: datetime) -> list[str]:
    """The history of the actions of `alarm`."""
    history = stage.client("cloudwatch").describe_alarm_history(
        AlarmName=alarm, HistoryItemType="Action", StartDate=since, EndDate=datetime.now(UTC) + timedelta(minutes=1)
    )
    return [item["HistorySummary"] for item in history["AlarmHistoryItems"]]
