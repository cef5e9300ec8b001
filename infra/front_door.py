"""Where Canvas delivers: a queue of the name that Canvas wants, and the relay from there to the bus."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.function import LeastFunction
from infra.queue import queue
from infra.settings import Settings

INSTRUCTURE_ACCOUNT = "636161780776"
"""The AWS account that sends Live Events.

Source: Canvas Community, "How Do I Configure Live Events for Canvas Data?".
"""

BATCH_SIZE = 10
"""Messages that the relay is handed at most: as many as one `PutEvents` call takes."""


class FrontDoor(Construct):
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
        self.dead_letters = queue(self, "DeadLetters", settings=settings)
        self.queue = queue(
            self,
            "Queue",
            settings=settings,
            # Canvas takes only a standard queue whose name begins so.
            queue_name=f"canvas-live-events-{settings.stage}",
            visibility_timeout=cdk.Duration.seconds(settings.front_door_visibility_seconds),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=settings.receive_attempts),
        )
        self.queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.AccountPrincipal(INSTRUCTURE_ACCOUNT)],
                actions=["sqs:SendMessage"],
                resources=[self.queue.queue_arn],
            )
        )
        self.relay = LeastFunction(
            self,
            "Relay",
            handler="functions.relay.handler.handler",
            code=code,
            settings=settings,
            environment={
                "EVENT_BUS": bus.event_bus_name,
                "FORWARD_ALL_EVENTS": str(settings.forward_all_events).lower(),
            },
        ).function
        bus.grant_put_events_to(self.relay)
        self.relay.add_event_source(
            sources.SqsEventSource(self.queue, batch_size=BATCH_SIZE, report_batch_item_failures=True)
        )
