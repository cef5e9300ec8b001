"""The pipeline stack, which fills the tables: ingestion, event bus, archive, a route for each event, and monitoring."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_events as events

from functions.routes import ROUTES, Route
from infra.bundling import functions_code, reconciliation_code
from infra.data_stack import DataStack
from infra.event_route import EventRoute
from infra.ingestion import Ingestion
from infra.monitoring import Monitoring
from infra.operators import OperatorsPolicy
from infra.platform import platform_of
from infra.published_names import publish
from infra.reconciliation import ReconciliationRuns
from infra.retention import removal_policy
from infra.settings import Settings


class PipelineStack(cdk.Stack):
    """All resources between Canvas and the tables. No other stack refers to them."""

    def __init__(
        self,
        scope: cdk.App,
        construct_id: str,
        *,
        data: DataStack,
        settings: Settings,
        routes: Sequence[Route] = ROUTES,
        **stack: object,
    ) -> None:
        super().__init__(scope, construct_id, termination_protection=settings.keeps_data, **stack)  # type: ignore[arg-type]
        code = functions_code(self, platform_of(settings))
        bus = events.EventBus(self, "Bus", event_bus_name=settings.live_events_name)
        bus.apply_removal_policy(removal_policy(settings))
        if settings.archive_days:
            archive = bus.archive(
                "Archive",
                description="Every event that the relay forwarded, for replay",
                event_pattern=events.EventPattern(account=[self.account]),
                retention=cdk.Duration.days(settings.archive_days),
            )
            archive.apply_removal_policy(removal_policy(settings))
        self.ingestion = Ingestion(self, "Ingestion", bus=bus, code=code, settings=settings)
        self.routes = {
            route.event_name: EventRoute(
                self,
                route.construct_id,
                route=route,
                bus=bus,
                table=data.tables[route.table],
                code=code,
                settings=settings,
            )
            for route in routes
        }
        self._create_relay_last()
        monitoring = Monitoring(
            self,
            "Monitoring",
            tables=data.tables,
            ingestion=self.ingestion,
            routes=self.routes,
            code=code,
            settings=settings,
        )
        reconciliation = self._reconciliation(data, bus, monitoring, settings)
        monitoring.add_dashboard(tables=data.tables)
        operators = OperatorsPolicy(
            self,
            "Operators",
            tables=data.tables,
            bus=bus,
            ingestion=self.ingestion,
            routes=self.routes,
            topics=monitoring.topics,
            reconciliation=reconciliation,
            settings=settings,
        )
        for name, value in (
            ("EventBus", bus.event_bus_name),
            ("IngestionQueueUrl", self.ingestion.queue.queue_url),
            ("OperatorsPolicyArn", operators.policy.managed_policy_arn),
        ):
            publish(self, name, value, settings=settings)

    def _reconciliation(
        self, data: DataStack, bus: events.IEventBus, monitoring: Monitoring, settings: Settings
    ) -> ReconciliationRuns | None:
        """The comparison with Canvas, where the stage has settings for it."""
        if settings.reconciliation is None:
            return None
        runs = ReconciliationRuns(
            self,
            "Reconciliation",
            tables=data.tables,
            bus=bus,
            routes=self.routes,
            alarms=monitoring.alarms,
            code=reconciliation_code(platform_of(settings)),
            settings=settings,
            reconciliation=settings.reconciliation,
        )
        publish(self, "ReconciliationStateMachineArn", runs.state_machine.state_machine_arn, settings=settings)
        return runs

    def _create_relay_last(self) -> None:
        """Create the relay and its mapping after all rules and queue policies.

        An event that is published while a rule has no target, or while a queue does not admit EventBridge, is lost: a
        missing permission is not retried, and the policy of the dead-letter queue may be missing, too. Source:
        EventBridge user guide, "Using dead-letter queues to process undelivered events".
        """
        for route in self.routes.values():
            self.ingestion.relay.node.add_dependency(route.rule)
            for queue in (route.queue, route.dead_letters):
                # The policy of a queue is its child.
                self.ingestion.relay.node.add_dependency(queue)
