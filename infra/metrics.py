"""The metrics that the functions of a stage record."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

from functions.routes import FAMILIES, ROUTES
from infra.alarms import PERIOD


class CustomMetrics:
    """Metrics of one stage, with the dimensions that the functions record."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def custom_metric(
        self,
        name: str,
        statistic: str = "Sum",
        *,
        event_name: str | None = None,
        family: str | None = None,
        label: str | None = None,
        period: cdk.Duration = PERIOD,
    ) -> cloudwatch.Metric:
        """The metric `name`, labelled by its dimension unless `label` is given.

        Metrics of event functions have the dimension `event_name`, those of the reconciliation `family`.
        """
        dimensions = {"event_name": event_name, "family": family}
        return cloudwatch.Metric(
            namespace=self._namespace,
            metric_name=name,
            statistic=statistic,
            dimensions_map={key: value for key, value in dimensions.items() if value} or None,
            period=period,
            label=label or event_name or family,
        )

    def metric_by_event(
        self, name: str, statistic: str = "Sum", *, period: cdk.Duration = PERIOD
    ) -> list[cloudwatch.IMetric]:
        """The metric `name` of each event function."""
        return [self.custom_metric(name, statistic, event_name=route.event_name, period=period) for route in ROUTES]

    def metric_by_family(self, name: str, *, period: cdk.Duration = PERIOD) -> list[cloudwatch.IMetric]:
        """The metric `name` of each record family."""
        return [self.custom_metric(name, family=family, period=period) for family in FAMILIES]
