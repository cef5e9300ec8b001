"""The import monitor, the alarms and the dashboard."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from functions.routes import TableName
from infra.alarms import AN_HOUR, ATTEMPTS_OF_A_SCHEDULE, PERIOD, Alarms, metric_math
from infra.dashboard import Dashboard
from infra.event_route import EventRoute
from infra.function import LeastPrivilegeFunction
from infra.indexes import UNFINISHED_INDEX
from infra.ingestion import Ingestion
from infra.metrics import CustomMetrics
from infra.settings import Settings, Severity


class Monitoring(Construct):
    """Monitoring of the pipeline.

    Alarms are for problems that an operator can solve. What recovers by itself is on the dashboard.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Mapping[TableName, dynamodb.ITableV2],
        ingestion: Ingestion,
        routes: Mapping[str, EventRoute],
        code: lambda_.Code,
        settings: Settings,
    ) -> None:
        super().__init__(scope, construct_id)
        self._ingestion = ingestion
        self._routes = list(routes.values())
        self._settings = settings
        self._metrics = CustomMetrics(settings.metrics_namespace)
        self._import_monitor = self._monitor_imports(tables["sis_batches"], code)
        self.alarms = Alarms(self, "Alarms", settings=settings)
        self._alarm_on_delays("notify", "", settings.notify_after_minutes)
        self._alarm_on_delays("page", "Persist", settings.page_after_minutes)
        self._page()
        self._notify()
        self.topics = list(self.alarms.topics.values())
        for severity, topic in self.alarms.topics.items():
            name = f"{severity.capitalize()}TopicArn"
            cdk.CfnOutput(self, name, value=topic.topic_arn).override_logical_id(name)

    def add_dashboard(self, *, tables: Mapping[TableName, dynamodb.ITableV2]) -> None:
        """Add the dashboard, which shows all alarms that were added before."""
        Dashboard(
            self,
            "Dashboard",
            tables=tables,
            ingestion=self._ingestion,
            routes=self._routes,
            alarms=self.alarms,
            metrics=self._metrics,
            reconciles=self._settings.reconciliation is not None,
        )

    def _monitor_imports(self, table: dynamodb.ITableV2, code: lambda_.Code) -> lambda_.Function:
        monitor = LeastPrivilegeFunction(
            self,
            "ImportMonitor",
            handler="functions.handlers.import_monitor.handler",
            code=code,
            settings=self._settings,
            environment={
                "SIS_BATCHES_TABLE": table.table_name,
                "UNFINISHED_INDEX": UNFINISHED_INDEX,
                "STUCK_IMPORT_HOURS": str(self._settings.stuck_import_hours),
            },
        )
        monitor.allow("dynamodb:Scan", f"{table.table_arn}/index/{UNFINISHED_INDEX}")
        events.Rule(
            self,
            "Hourly",
            schedule=events.Schedule.rate(AN_HOUR),
            targets=[targets.LambdaFunction(monitor.function)],
        )
        return monitor.function

    def _alarm_on_delays(self, severity: Severity, suffix: str, minutes: int) -> None:
        """Add alarms on messages that are retried, or wait, for `minutes`."""
        period = cdk.Duration.minutes(self._settings.notify_after_minutes)
        metrics = self._metrics
        retried = [*metrics.metric_by_event("Retried", period=period), metrics.custom_metric("Retried", period=period)]
        self.alarms.add(
            f"Retries{suffix}",
            metric_math("SUM", "retried messages", retried, period=period),
            severity=severity,
            periods=minutes // self._settings.notify_after_minutes,
            meaning=f"For {minutes} minutes messages failed and were delivered again.",
        )
        queues = [self._ingestion.queue, *(route.queue for route in self._routes)]
        ages = [queue.metric_approximate_age_of_oldest_message(statistic="Maximum", period=PERIOD) for queue in queues]
        self.alarms.add(
            f"QueueDelay{suffix}s" if suffix else "QueueDelay",
            metric_math("MAX", "oldest message", ages),
            severity=severity,
            threshold=minutes * 60,
            meaning=f"A message has waited in a queue for {minutes} minutes.",
        )

    def _page(self) -> None:
        functions = [*(route.function for route in self._routes), self._ingestion.relay]
        self.alarms.add(
            "FunctionErrors",
            metric_math("SUM", "errors", [function.metric_errors(period=PERIOD) for function in functions]),
            severity="page",
            periods=3,
            meaning="For a quarter hour a function failed as a whole (import, memory, time).",
        )
        self.alarms.add(
            "DeliveriesLost",
            metric_math("SUM", "lost deliveries", [_lost_deliveries(route) for route in self._routes]),
            severity="page",
            meaning="EventBridge could deliver events neither to a queue nor to its dead-letter queue.",
        )
        foreign, forwarded = (self._metrics.custom_metric(name, period=AN_HOUR) for name in ("Foreign", "Forwarded"))
        self.alarms.add(
            "AllForeign",
            cloudwatch.MathExpression(
                expression="IF(FILL(foreign, 0) > 0 AND FILL(forwarded, 0) == 0, 1, 0)",
                using_metrics={"foreign": foreign, "forwarded": forwarded},
                label="all events foreign",
                period=AN_HOUR,
            ),
            severity="page",
            meaning="For an hour every event was dropped as foreign: root_account_ids are wrong.",
        )
        if self._settings.canvas_connected:
            self.alarms.add(
                "NoEvents",
                self._ingestion.queue.metric_number_of_messages_sent(statistic="Sum", period=AN_HOUR),
                severity="page",
                periods=self._settings.silence_hours,
                silence=True,
                meaning=f"No event for {self._settings.silence_hours} hours: Canvas disables a failing subscription "
                "silently.",
            )

    def _notify(self) -> None:
        settings, metrics = self._settings, self._metrics
        dead_letters = [self._ingestion.dead_letters, *(route.dead_letters for route in self._routes)]
        visible = [
            queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=PERIOD)
            for queue in dead_letters
        ]
        self.alarms.add(
            "DeadLetters",
            metric_math("SUM", "dead-lettered messages", visible),
            severity="notify",
            meaning="Messages are in a dead-letter queue, not in the tables.",
        )
        self.alarms.add(
            "Foreign",
            metrics.custom_metric("Foreign"),
            severity="notify",
            meaning="Somebody delivers events of another school's shard.",
        )
        self.alarms.add(
            "UnknownStates",
            metric_math("SUM", "unknown states", metrics.metric_by_event("UnknownState")),
            severity="notify",
            meaning="Canvas sent an unknown state: it has been changed.",
        )
        self.alarms.add(
            "EventLag",
            metric_math("MAX", "event lag p99", metrics.metric_by_event("EventLag", "p99")),
            severity="notify",
            threshold=settings.event_lag_minutes * 60 * 1000,
            periods=3,
            meaning=f"For a quarter hour one event in a hundred was over {settings.event_lag_minutes} minutes late.",
        )
        self.alarms.add(
            "StuckImports",
            metrics.custom_metric("ImportsStuck", period=AN_HOUR),
            severity="notify",
            meaning=f"An unfinished import has had no event for {settings.stuck_import_hours} hours.",
        )
        self.alarms.add(
            "ImportMonitorErrors",
            self._import_monitor.metric_errors(period=AN_HOUR),
            severity="notify",
            threshold=ATTEMPTS_OF_A_SCHEDULE,
            meaning="The import monitor failed at every attempt of an hour: stuck imports go unnoticed.",
        )


def _lost_deliveries(route: EventRoute) -> cloudwatch.IMetric:
    """Events that EventBridge could deliver neither to the queue nor to its dead-letter queue.

    A rule on a custom bus has both dimensions. Source: EventBridge user guide, "Monitoring Amazon EventBridge". Its
    name comes from its ARN, `…:rule/bus/rule`, since `Ref` is `bus|rule`.
    """
    name = cdk.Fn.select(2, cdk.Fn.split("/", route.rule.rule_arn))
    return cloudwatch.Metric(
        namespace="AWS/Events",
        metric_name="InvocationsFailedToBeSentToDlq",
        dimensions_map={"EventBusName": route.bus.event_bus_name, "RuleName": name},
        statistic="Sum",
        period=PERIOD,
    )
