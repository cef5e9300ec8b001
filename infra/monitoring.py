"""Alarms, the dashboard and the import monitor."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from functions.routes import TableName
from infra.alarms import NAMESPACE, PERIOD, Alarms, custom_metric, metric_by_event, metric_math
from infra.dashboard import Dashboard
from infra.data_stack import UNFINISHED_INDEX
from infra.event_route import EventRoute
from infra.function import LeastPrivilegeFunction
from infra.ingestion import Ingestion
from infra.settings import Settings

_AN_HOUR = cdk.Duration.hours(1)


class Monitoring(Construct):
    """Everything that only observes the pipeline."""

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
        self._tables = tables
        self._ingestion = ingestion
        self._routes = list(routes.values())
        self._settings = settings
        topic = sns.Topic(self, "AlarmTopic", enforce_ssl=True)
        if settings.alarm_email is not None:
            topic.add_subscription(subscriptions.EmailSubscription(settings.alarm_email))
        self._import_monitor = self._monitor_imports(code)
        alarms = Alarms(self, "Alarms", topic=topic, settings=settings)
        self._alarm_on_failures(alarms)
        self._alarm_on_delay(alarms)
        self._alarm_on_canvas(alarms)
        Dashboard(self, "Dashboard", tables=tables, ingestion=ingestion, routes=routes, alarms=alarms)
        cdk.CfnOutput(self, "AlarmTopicArn", value=topic.topic_arn).override_logical_id("AlarmTopicArn")

    def _monitor_imports(self, code: lambda_.Code) -> lambda_.Function:
        table = self._tables["sis_batches"]
        monitor = LeastPrivilegeFunction(
            self,
            "ImportMonitor",
            handler="functions.handlers.import_monitor.handler",
            code=code,
            settings=self._settings,
            environment={"SIS_BATCHES_TABLE": table.table_name, "UNFINISHED_INDEX": UNFINISHED_INDEX},
        )
        monitor.allow("dynamodb:Scan", f"{table.table_arn}/index/{UNFINISHED_INDEX}")
        events.Rule(
            self,
            "Hourly",
            schedule=events.Schedule.rate(_AN_HOUR),
            targets=[targets.LambdaFunction(monitor.function)],
        )
        return monitor.function

    def _alarm_on_failures(self, alarms: Alarms) -> None:
        functions = [*(route.function for route in self._routes), self._ingestion.relay, self._import_monitor]
        alarms.add(
            "EventDeadLetters",
            metric_math(
                "SUM",
                "dead-lettered events",
                [
                    route.dead_letters.metric_approximate_number_of_messages_visible(statistic="Maximum", period=PERIOD)
                    for route in self._routes
                ],
            ),
            meaning="Events are in a dead-letter queue, not in the tables.",
        )
        alarms.add(
            "IngestionDeadLetters",
            self._ingestion.dead_letters.metric_approximate_number_of_messages_visible(
                statistic="Maximum", period=PERIOD
            ),
            meaning="Messages of Canvas are in the dead-letter queue of the ingestion queue, not on the bus.",
        )
        alarms.add(
            "Retries",
            metric_math("SUM", "retried messages", [*metric_by_event("Retried"), custom_metric("Retried")]),
            periods=3,
            meaning="For a quarter hour messages failed and were delivered again. They are retried for "
            f"{self._settings.retry_hours} h.",
        )
        alarms.add(
            "FunctionErrors",
            metric_math("SUM", "errors", [function.metric_errors(period=PERIOD) for function in functions]),
            meaning="A function failed as a whole (import, memory, time). Its messages are delivered again.",
        )
        alarms.add(
            "FunctionThrottles",
            metric_math("SUM", "throttles", [function.metric_throttles(period=PERIOD) for function in functions]),
            meaning="Lambda had no room for a function: the account's concurrency is exhausted. Messages wait.",
        )
        for name, metric_name, meaning in (
            ("TableThrottles", "ThrottledRequests", "DynamoDB throttled our writes. They are retried."),
            ("TableErrors", "SystemErrors", "DynamoDB failed. The writes are retried."),
        ):
            writes = [_metric_of_writes(table, metric_name) for table in self._tables.values()]
            alarms.add(name, metric_math("SUM", name, writes), meaning=meaning)

    def _alarm_on_delay(self, alarms: Alarms) -> None:
        settings = self._settings
        queues = [self._ingestion.queue, *(route.queue for route in self._routes)]
        alarms.add(
            "QueueDelay",
            metric_math(
                "MAX",
                "oldest message",
                [
                    queue.metric_approximate_age_of_oldest_message(statistic="Maximum", period=PERIOD)
                    for queue in queues
                ],
            ),
            threshold=settings.oldest_message_minutes * 60,
            meaning=f"A message has waited in a queue for {settings.oldest_message_minutes} minutes.",
        )
        alarms.add(
            "EventLag",
            metric_math("MAX", "event lag p99", metric_by_event("EventLag", "p99")),
            threshold=settings.event_lag_minutes * 60 * 1000,
            periods=3,
            meaning=f"For a quarter hour, one event in a hundred was over {settings.event_lag_minutes} minutes late.",
        )

    def _alarm_on_canvas(self, alarms: Alarms) -> None:
        settings = self._settings
        alarms.add(
            "UnknownStates",
            metric_math("SUM", "unknown states", metric_by_event("UnknownState")),
            meaning="Canvas sent a state that we do not know: it has changed.",
        )
        if settings.silence_hours:
            alarms.add(
                "NoEvents",
                self._ingestion.queue.metric_number_of_messages_sent(statistic="Sum", period=_AN_HOUR),
                periods=settings.silence_hours,
                silence=True,
                meaning=f"No event for {settings.silence_hours} h: Canvas disables a failing subscription silently.",
            )
        alarms.add(
            "UnfinishedImports",
            cloudwatch.Metric(
                namespace=NAMESPACE,
                metric_name="OldestUnfinishedImportAge",
                statistic="Maximum",
                period=_AN_HOUR,
            ),
            threshold=settings.unfinished_import_hours * 3600,
            meaning=f"An unfinished import has had no event for {settings.unfinished_import_hours} hours.",
        )


def _metric_of_writes(table: dynamodb.ITableV2, metric_name: str) -> cloudwatch.IMetric:
    """A metric of our one operation. `Operation` is not optional: DynamoDB has these metrics per operation only."""
    return table.metric(
        metric_name,
        dimensions_map={"TableName": table.table_name, "Operation": "UpdateItem"},
        statistic="Sum",
        period=PERIOD,
    )
