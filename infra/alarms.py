"""Alarms: each names its meaning and its section in the runbook."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from functions.routes import ROUTES
from infra.settings import Settings

NAMESPACE = "CanvasLiveState"
PERIOD = cdk.Duration.minutes(5)
_RUNBOOK = "docs/operations.md"


class Alarms(Construct):
    """The stage's alarms, all of which notify one topic."""

    def __init__(self, scope: Construct, construct_id: str, *, topic: sns.ITopic, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self._without_math = settings.runs_on_emulator
        self._action = actions.SnsAction(topic)
        self.all: list[cloudwatch.Alarm] = []

    def add(
        self,
        construct_id: str,
        metric: cloudwatch.IMetric,
        *,
        meaning: str,
        threshold: float = 1,
        periods: int = 1,
        silence: bool = False,
    ) -> None:
        """An alarm when `metric` reaches `threshold`; of `silence`, when it stays below or has no data."""
        if self._without_math and isinstance(metric, cloudwatch.MathExpression):
            return  # the emulator refuses the whole stack for one such alarm
        anchor = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in construct_id)
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
            if silence
            else cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING
            if silence
            else cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{meaning} Runbook: {_RUNBOOK}#alarm{anchor}",
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)
        self.all.append(alarm)


def custom_metric(name: str, statistic: str = "Sum", *, event_name: str | None = None) -> cloudwatch.Metric:
    """A metric that our functions record; those of the event functions have the dimension `event_name`."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        statistic=statistic,
        dimensions_map={"event_name": event_name} if event_name else None,
        period=PERIOD,
        label=event_name or name,
    )


def metric_by_event(name: str, statistic: str = "Sum") -> list[cloudwatch.IMetric]:
    """The metric of each event function."""
    return [custom_metric(name, statistic, event_name=route.event_name) for route in ROUTES]


def metric_math(function: str, label: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.MathExpression:
    """`SUM` or `MAX` over at most ten metrics, as many as an alarm may evaluate."""
    using = {f"m{number}": metric for number, metric in enumerate(metrics)}
    return cloudwatch.MathExpression(
        expression=f"{function}([{', '.join(using)}])", using_metrics=using, label=label, period=PERIOD
    )
