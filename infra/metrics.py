"""The metrics that our functions record, in the namespace of their stage."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

from functions.routes import ROUTES
from infra.alarms import PERIOD


class CustomMetrics:
    """Metrics of one stage. Their dimensions equal those that the functions record, or an alarm would see nothing."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def custom_metric(
        self, name: str, statistic: str = "Sum", *, event_name: str | None = None, period: cdk.Duration = PERIOD
    ) -> cloudwatch.Metric:
        """The metric `name`; those of the event functions have the dimension `event_name`."""
        return cloudwatch.Metric(
            namespace=self._namespace,
            metric_name=name,
            statistic=statistic,
            dimensions_map={"event_name": event_name} if event_name else None,
            period=period,
            label=event_name,
        )

    def metric_by_event(
        self, name: str, statistic: str = "Sum", *, period: cdk.Duration = PERIOD
    ) -> list[cloudwatch.IMetric]:
        """The metric `name` of each event function."""
        return [self.custom_metric(name, statistic, event_name=route.event_name, period=period) for route in ROUTES]
