"""The stack that fills the tables: front door, bus, and one consumer per event."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from constructs import Construct

from functions.routes import ROUTES
from infra.bundling import functions_code
from infra.consumer import Consumer
from infra.front_door import FrontDoor
from infra.settings import Settings
from infra.state_stack import StateStack


class ProcessingStack(cdk.Stack):
    """Everything that holds no state: it can be destroyed and deployed again without a loss."""

    def __init__(
        self, scope: Construct, construct_id: str, *, state: StateStack, settings: Settings, **stack: object
    ) -> None:
        super().__init__(scope, construct_id, **stack)  # type: ignore[arg-type]
        code = functions_code(settings.target)
        bus = events.EventBus(self, "Bus", event_bus_name=f"canvas-live-events-{settings.stage}")
        if settings.archive_days is not None:
            bus.archive(
                "Archive",
                description="Every event that passed the relay, for replay. Without secrets.",
                event_pattern=events.EventPattern(account=[self.account]),
                retention=cdk.Duration.days(settings.archive_days),
            )
        self.front_door = FrontDoor(self, "FrontDoor", bus=bus, code=code, settings=settings)
        self.consumers = {
            route.event_name: Consumer(
                self,
                _construct_id(route.event_name),
                route=route,
                bus=bus,
                table=state.tables[route.table],
                code=code,
                settings=settings,
            )
            for route in ROUTES
        }
        self.dead_letter_queues = [
            self.front_door.dead_letters,
            *(consumer.function_dead_letters for consumer in self.consumers.values()),
            *(consumer.rule_dead_letters for consumer in self.consumers.values()),
        ]
        cdk.CfnOutput(self, "EventBus", value=bus.event_bus_name)
        cdk.CfnOutput(self, "FrontDoorQueueUrl", value=self.front_door.queue.queue_url)


def _construct_id(event_name: str) -> str:
    return "".join(word.capitalize() for word in event_name.split("_"))
