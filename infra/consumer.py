"""The way of one event, from the bus to its table."""

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from functions.routes import Route
from infra.function import LeastFunction
from infra.queue import queue
from infra.settings import Settings

_RETRIES = 2
_MAX_EVENT_AGE = cdk.Duration.hours(6)


class Consumer(Construct):
    """Rule, function and their dead-letter queues.

    Two queues, because EventBridge invokes asynchronously: the rule's gets what could not be handed to Lambda, the
    function's what its handler failed to do.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        route: Route,
        bus: events.IEventBus,
        table: dynamodb.ITableV2,
        code: lambda_.Code,
        settings: Settings,
    ) -> None:
        super().__init__(scope, construct_id)
        self.rule_dead_letters = queue(self, "RuleDeadLetters", settings=settings)
        cdk.Validations.of(self.rule_dead_letters).acknowledge(
            cdk.Acknowledgment(
                id="AwsSolutions::AwsSolutions-SQS3",
                reason="It is a dead-letter queue: the rule's. The check knows only those of queues and functions.",
            )
        )
        self.function_dead_letters = queue(self, "FunctionDeadLetters", settings=settings)
        consumer = LeastFunction(
            self,
            "Consumer",
            handler=route.handler,
            code=code,
            settings=settings,
            environment={
                route.table_variable: table.table_name,
                "FUTURE_TOLERANCE_MINUTES": str(settings.future_tolerance_minutes),
            },
            dead_letter_queue=self.function_dead_letters,
        )
        self.function = consumer.function
        self.function.configure_async_invoke(retry_attempts=_RETRIES, max_event_age=_MAX_EVENT_AGE)
        # Not `table.grant`: that adds the indexes, which no function touches.
        self.function.add_to_role_policy(
            iam.PolicyStatement(actions=["dynamodb:UpdateItem"], resources=[table.table_arn])
        )
        self.rule = events.Rule(
            self,
            "Rule",
            event_bus=bus,
            description=f"Canvas {route.event_name} to the function that applies it",
            event_pattern=events.EventPattern(detail={"metadata": {"event_name": [route.event_name]}}),
            targets=[
                targets.LambdaFunction(
                    self.function,
                    dead_letter_queue=self.rule_dead_letters,
                    retry_attempts=_RETRIES,
                    max_event_age=_MAX_EVENT_AGE,
                )
            ],
        )
