"""Ingestion: the queue to which Canvas delivers, and the relay from it to the event bus."""

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.function import LeastPrivilegeFunction
from infra.queues import dead_letter_queue, source_queue
from infra.settings import Settings

INSTRUCTURE_ACCOUNT = "636161780776"
"""The AWS account that sends Live Events.

Source: Canvas Community, "How Do I Configure Live Events for Canvas Data?".
"""


class Ingestion(Construct):
    """Queue, dead-letter queue and relay."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        bus: events.IEventBus,
        code: lambda_.Code,
        settings: Settings,
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters", settings=settings)
        self.queue = source_queue(
            self,
            "Queue",
            dead_letters=self.dead_letters,
            settings=settings,
            queue_name=settings.live_events_name,
        )
        self.queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.AccountPrincipal(INSTRUCTURE_ACCOUNT)],
                actions=["sqs:SendMessage"],
                resources=[self.queue.queue_arn],
            )
        )
        relay = LeastPrivilegeFunction(
            self,
            "Relay",
            handler="functions.handlers.relay.handler",
            code=code,
            settings=settings,
            environment={
                "EVENT_BUS": bus.event_bus_name,
                "ROOT_ACCOUNT_IDS": " ".join(settings.root_account_ids),
            },
        )
        relay.allow("events:PutEvents", bus.event_bus_arn)
        relay.consume(self.queue, dead_letters=self.dead_letters, max_concurrency=settings.relay_concurrency)
        self.relay = relay.function
