"""The route of one event, from the event bus to its table."""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from functions.routes import CORRECTION_SOURCE, SOURCE, Route
from infra.function import LeastPrivilegeFunction
from infra.queues import dead_letter_queue, source_queue
from infra.settings import Settings


class EventRoute(Construct):
    """Rule, queue, dead-letter queue and function.

    The dead-letter queue has three senders: the function, SQS (messages that were received too often) and EventBridge
    (events that it could not deliver within its default of 24 hours and 185 attempts). The body is always the event.
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
        self.bus = bus
        self.dead_letters = dead_letter_queue(self, "DeadLetters", settings=settings)
        self.queue = source_queue(self, "Queue", dead_letters=self.dead_letters, settings=settings)
        self.rule = events.Rule(
            self,
            "Rule",
            event_bus=bus,
            description=f"Canvas {route.event_name} to the queue of its function",
            event_pattern=events.EventPattern(source=[SOURCE, CORRECTION_SOURCE], detail_type=[route.event_name]),
            targets=[targets.SqsQueue(self.queue, dead_letter_queue=self.dead_letters)],
        )
        writer = LeastPrivilegeFunction(
            self,
            "Writer",
            handler=route.handler,
            code=code,
            settings=settings,
            environment={
                route.table_variable: table.table_name,
                "FUTURE_TOLERANCE_MINUTES": str(settings.future_tolerance_minutes),
            },
        )
        # Not `table.grant`, which adds the indexes.
        writer.allow("dynamodb:UpdateItem", table.table_arn)
        writer.consume(self.queue, dead_letters=self.dead_letters, max_concurrency=settings.function_concurrency)
        self.function = writer.function
