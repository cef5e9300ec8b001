"""The stack that watches the others: alarms, the dashboard, and the hourly look at unfinished imports."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.alarms import Alarms, combined, ours, per_event
from infra.bundling import functions_code
from infra.dashboard import Dashboard
from infra.function import LeastFunction
from infra.processing_stack import ProcessingStack
from infra.settings import Settings
from infra.state_stack import UNFINISHED_INDEX, StateStack

_AN_HOUR = cdk.Duration.hours(1)
_FIVE_MINUTES = cdk.Duration.minutes(5)


class MonitoringStack(cdk.Stack):
    """Everything that only looks: it can be destroyed without a loss to the others."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        state: StateStack,
        processing: ProcessingStack,
        settings: Settings,
        **stack: object,
    ) -> None:
        super().__init__(scope, construct_id, **stack)  # type: ignore[arg-type]
        self._state = state
        self._processing = processing
        self._settings = settings
        topic = sns.Topic(self, "AlarmTopic", enforce_ssl=True)
        if settings.alarm_email is not None:
            topic.add_subscription(subscriptions.EmailSubscription(settings.alarm_email))
        self.watcher = self._watch_unfinished_imports()
        alarms = Alarms(self, "Alarms", topic=topic, settings=settings)
        self._alarm_on_failures(alarms)
        self._alarm_on_delay(alarms)
        self._alarm_on_canvas(alarms)
        Dashboard(self, "Health", state=state, processing=processing, alarms=alarms)
        cdk.CfnOutput(self, "AlarmTopicArn", value=topic.topic_arn)

    def _watch_unfinished_imports(self) -> LeastFunction:
        table = self._state.tables["sis_batches"]
        watcher = LeastFunction(
            self,
            "UnfinishedImports",
            handler="functions.unfinished_imports.handler",
            code=functions_code(self._settings.target),
            settings=self._settings,
            environment={"SIS_BATCHES_TABLE": table.table_name, "UNFINISHED_INDEX": UNFINISHED_INDEX},
        )
        watcher.function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["dynamodb:Scan"],
                resources=[f"{table.table_arn}/index/{UNFINISHED_INDEX}"],
            )
        )
        events.Rule(
            self,
            "Hourly",
            schedule=events.Schedule.rate(_AN_HOUR),
            targets=[targets.LambdaFunction(watcher.function)],
        )
        return watcher

    def _alarm_on_failures(self, alarms: Alarms) -> None:
        consumers = self._processing.consumers.values()
        front_door = self._processing.front_door
        functions = [*(consumer.function for consumer in consumers), front_door.relay, self.watcher.function]
        letters = {
            "FunctionDeadLetters": ([consumer.function_dead_letters for consumer in consumers], "A function gave up"),
            "RuleDeadLetters": ([consumer.rule_dead_letters for consumer in consumers], "EventBridge gave up"),
            "FrontDoorDeadLetters": ([front_door.dead_letters], "The relay gave up"),
        }
        for name, (queues, who) in letters.items():
            visible = [
                queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=_FIVE_MINUTES)
                for queue in queues
            ]
            alarms.add(
                name,
                combined("SUM", name, visible) if len(visible) > 1 else visible[0],
                meaning=f"{who}: events lie in a dead-letter queue, not in the tables.",
            )
        alarms.add(
            "FunctionErrors",
            combined("SUM", "errors", [function.metric_errors(period=_FIVE_MINUTES) for function in functions]),
            meaning="A function failed. Lambda tries again; what fails three times becomes a dead letter.",
        )
        alarms.add(
            "FunctionThrottles",
            combined("SUM", "throttles", [function.metric_throttles(period=_FIVE_MINUTES) for function in functions]),
            meaning="Lambda had no room for a function: the account's concurrency is used up. Events come later.",
        )
        alarms.add(
            "RelayFailures",
            combined("SUM", "not forwarded", [ours("Unreadable"), ours("ForwardFailed")]),
            meaning="The relay could not read or forward a front-door message.",
        )
        for name, metric_name, meaning in (
            ("TableThrottles", "ThrottledRequests", "DynamoDB throttled our writes. The SDK and Lambda try again."),
            ("TableErrors", "SystemErrors", "DynamoDB failed. The SDK and Lambda try again."),
        ):
            tables = self._state.tables.values()
            alarms.add(
                name, combined("SUM", name, [_of_writes(table, metric_name) for table in tables]), meaning=meaning
            )

    def _alarm_on_delay(self, alarms: Alarms) -> None:
        settings = self._settings
        alarms.add(
            "FrontDoorDelay",
            self._processing.front_door.queue.metric_approximate_age_of_oldest_message(
                statistic="Maximum", period=_FIVE_MINUTES
            ),
            threshold=settings.oldest_message_minutes * 60,
            meaning=f"A message has waited at the front door for {settings.oldest_message_minutes} minutes.",
        )
        alarms.add(
            "EventLag",
            combined("MAX", "event lag p99", per_event("EventLag", "p99")),
            threshold=settings.event_lag_minutes * 60 * 1000,
            periods=3,
            meaning=f"For a quarter hour, one event in a hundred was over {settings.event_lag_minutes} minutes late.",
        )

    def _alarm_on_canvas(self, alarms: Alarms) -> None:
        settings = self._settings
        alarms.add(
            "UnknownStates",
            combined("SUM", "unknown states", per_event("UnknownState")),
            meaning="Canvas sent a state that we do not know: it has changed.",
        )
        if settings.silence_hours:
            alarms.add(
                "NoEvents",
                self._processing.front_door.queue.metric_number_of_messages_sent(statistic="Sum", period=_AN_HOUR),
                periods=settings.silence_hours,
                silence=True,
                meaning=f"No event for {settings.silence_hours} h: Canvas disables a failing subscription silently.",
            )
        alarms.add(
            "UnfinishedImports",
            cloudwatch.Metric(
                namespace=ours("OldestUnfinishedImportAge").namespace,
                metric_name="OldestUnfinishedImportAge",
                statistic="Maximum",
                period=_AN_HOUR,
            ),
            threshold=settings.unfinished_import_hours * 3600,
            meaning=f"An import has had no news for {settings.unfinished_import_hours} hours, and is not at its end.",
        )


def _of_writes(table: dynamodb.ITableV2, metric_name: str) -> cloudwatch.IMetric:
    """A metric of our one operation. `Operation` is not optional: DynamoDB has these metrics per operation only."""
    return table.metric(
        metric_name,
        dimensions_map={"TableName": table.table_name, "Operation": "UpdateItem"},
        statistic="Sum",
        period=_FIVE_MINUTES,
    )
