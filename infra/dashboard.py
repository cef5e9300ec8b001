"""The dashboard: one look from the top, "is it healthy?", down to what it costs."""

from collections.abc import Iterable, Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.alarms import Alarms, ours, per_event
from infra.processing_stack import ProcessingStack
from infra.state_stack import StateStack

_WIDTH = 24
_OUTCOMES = ("Applied", "Duplicate", "Stale", "Rejected")


class Dashboard(Construct):
    """Rows: health, events and outcomes, lag, failures, cost drivers."""

    def __init__(
        self, scope: Construct, construct_id: str, *, state: StateStack, processing: ProcessingStack, alarms: Alarms
    ) -> None:
        super().__init__(scope, construct_id)
        consumers = processing.consumers.values()
        relay = processing.front_door.relay
        dead_letters = [
            queue.metric_approximate_number_of_messages_visible(label=queue.node.path.split("/", 1)[1])
            for queue in processing.dead_letter_queues
        ]
        rows: list[list[cloudwatch.IWidget]] = [
            [cloudwatch.AlarmStatusWidget(title="Is it healthy?", alarms=alarms.all, width=_WIDTH, height=4)],
            [_graph(name, per_event(name).values(), len(_OUTCOMES)) for name in _OUTCOMES],
            [
                _graph("Event lag, p50", per_event("EventLag", "p50").values(), 2),
                _graph("Event lag, p99", per_event("EventLag", "p99").values(), 2),
            ],
            [
                _graph("Dead letters", dead_letters, 3),
                _graph("Function errors", [consumer.function.metric_errors() for consumer in consumers], 3),
                _graph("Relay: not forwarded", [ours("Unreadable"), ours("ForwardFailed"), relay.metric_errors()], 3),
            ],
            [
                _graph("Unknown states", per_event("UnknownState").values(), 3),
                _graph("Unfinished imports", [ours("ImportsUnfinished", "Maximum")], 3),
                _graph(
                    "Front door: oldest message",
                    [processing.front_door.queue.metric_approximate_age_of_oldest_message()],
                    3,
                ),
            ],
            [
                _graph("Cost: invocations", [consumer.function.metric_invocations() for consumer in consumers], 4),
                _graph("Cost: relay batches", [relay.metric_invocations()], 4),
                _graph("Cost: events", [ours("Forwarded"), ours("Ignored")], 4),
                _graph(
                    "Cost: write units",
                    [
                        table.metric_consumed_write_capacity_units(statistic="Sum", period=cdk.Duration.minutes(5))
                        for table in state.tables.values()
                    ],
                    4,
                ),
            ],
        ]
        self.dashboard = cloudwatch.Dashboard(self, "Dashboard", widgets=rows)


def _graph(title: str, metrics: Iterable[cloudwatch.IMetric], beside: int) -> cloudwatch.GraphWidget:
    listed: Sequence[cloudwatch.IMetric] = list(metrics)
    return cloudwatch.GraphWidget(title=title, left=listed, width=_WIDTH // beside, height=6)
