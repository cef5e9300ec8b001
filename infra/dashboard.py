"""The dashboard of a stage, from its health to its cost drivers."""

from collections.abc import Mapping, Sequence

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from functions.routes import FAMILIES, TableName
from infra.alarms import PERIOD, Alarms
from infra.event_route import EventRoute
from infra.ingestion import Ingestion
from infra.metrics import CustomMetrics

_WIDTH = 24
_FORWARDING = ("Forwarded", "Ignored", "Foreign")
_OUTCOMES = ("Applied", "Duplicate", "Stale", "Rejected")


class Dashboard(Construct):
    """Rows: health, events and outcomes, lag, failures, queues, reconciliation where there is one, cost drivers."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Mapping[TableName, dynamodb.ITableV2],
        ingestion: Ingestion,
        routes: Sequence[EventRoute],
        alarms: Alarms,
        metrics: CustomMetrics,
        reconciles: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        functions = [route.function for route in routes]
        dead_letters = [ingestion.dead_letters, *(route.dead_letters for route in routes)]
        queues = [ingestion.queue, *(route.queue for route in routes)]
        write_units = [
            table.metric_consumed_write_capacity_units(statistic="Sum", period=PERIOD) for table in tables.values()
        ]
        rows: list[list[cloudwatch.IWidget]] = [
            [cloudwatch.AlarmStatusWidget(title="Is it healthy?", alarms=alarms.all, width=_WIDTH, height=4)],
            [_graph(name, metrics.metric_by_event(name), len(_OUTCOMES)) for name in _OUTCOMES],
            [
                _graph("Event lag, p50", metrics.metric_by_event("EventLag", "p50"), 2),
                _graph("Event lag, p99", metrics.metric_by_event("EventLag", "p99"), 2),
            ],
            [
                _graph("Retried", [*metrics.metric_by_event("Retried"), metrics.custom_metric("Retried")], 3),
                _graph(
                    "Dead-lettered messages",
                    [
                        queue.metric_approximate_number_of_messages_visible(label=_label(queue))
                        for queue in dead_letters
                    ],
                    3,
                ),
                _graph("Function errors", [function.metric_errors() for function in functions], 3),
            ],
            [
                _graph("Function throttles", [function.metric_throttles() for function in functions], 2),
                _graph("Table throttles and errors", _table_failures(tables), 2),
            ],
            [
                _graph(
                    "Oldest message, by queue",
                    [queue.metric_approximate_age_of_oldest_message(label=_label(queue)) for queue in queues],
                    3,
                ),
                _graph("Unknown states", metrics.metric_by_event("UnknownState"), 3),
                _graph("Unfinished imports", [metrics.custom_metric("ImportsUnfinished", "Maximum")], 3),
            ],
            *([_reconciliation(metrics)] if reconciles else []),
            [
                _graph("Cost: invocations", [function.metric_invocations() for function in functions], 4),
                _graph("Cost: relay batches", [ingestion.relay.metric_invocations()], 4),
                _graph("Cost: events", [metrics.custom_metric(name) for name in _FORWARDING], 4),
                _graph("Cost: write units", write_units, 4),
            ],
        ]
        self.dashboard = cloudwatch.Dashboard(self, "Dashboard", widgets=rows)


def _reconciliation(metrics: CustomMetrics) -> list[cloudwatch.IWidget]:
    """The verdicts and corrections of runs, by record family, and the hours since the last run."""

    def by_family(*names: str) -> list[cloudwatch.IMetric]:
        return [
            metrics.custom_metric(name, family=family, label=f"{name}, {family}")
            for name in names
            for family in FAMILIES
        ]

    return [
        _graph("Missing or drifted", by_family("Missing", "Drifted"), 4),
        _graph("Not corrected", by_family("Undecided", "Behind", "Unknown", "Gone"), 4),
        _graph("Rows compared, items corrected", by_family("RowsCompared", "Corrected"), 4),
        _graph("Hours since the last run", [metrics.custom_metric("HoursSinceRun", "Maximum")], 4),
    ]


def _table_failures(tables: Mapping[TableName, dynamodb.ITableV2]) -> list[cloudwatch.IMetric]:
    """Throttles and errors of UpdateItem. DynamoDB has these metrics by operation only."""
    return [
        table.metric(
            name,
            dimensions_map={"TableName": table.table_name, "Operation": "UpdateItem"},
            statistic="Sum",
            period=PERIOD,
        )
        for table in tables.values()
        for name in ("ThrottledRequests", "SystemErrors")
    ]


def _label(queue: sqs.IQueue) -> str:
    """The path of the queue in the stack: `EnrollmentCreated/Queue`, for example."""
    return queue.node.path.split("/", 1)[1]


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric], columns: int) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=metrics, width=_WIDTH // columns, height=6)
