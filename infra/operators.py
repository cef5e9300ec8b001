"""The permissions of operators: exactly the requests of the command line `ops`."""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from functions.routes import TableName
from infra.event_route import EventRoute
from infra.indexes import ROSTER_INDEXES, UNFINISHED_INDEX
from infra.ingestion import Ingestion
from infra.reconciliation import ReconciliationRuns
from infra.settings import Settings
from infra.wildcards import acknowledge_wildcards


class OperatorsPolicy(Construct):
    """A managed policy, to be attached to the role of operators.

    It allows neither deployments nor writes to the tables, which operators change by events only.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Mapping[TableName, dynamodb.ITableV2],
        bus: events.EventBus,
        ingestion: Ingestion,
        routes: Mapping[str, EventRoute],
        topics: Sequence[sns.ITopic],
        reconciliation: ReconciliationRuns | None,
        settings: Settings,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        queues = [ingestion.queue, *(route.queue for route in routes.values())]
        dead_letters = [ingestion.dead_letters, *(route.dead_letters for route in routes.values())]
        enrollments, sis_batches = (tables[name].table_arn for name in ("enrollments", "sis_batches"))
        stacks = [
            stack.format_arn(service="cloudformation", resource="stack", resource_name=f"{name}/*")
            for name in (settings.stack_name("data"), settings.stack_name("pipeline"))
        ]
        allowed = [
            (["cloudformation:DescribeStacks", "cloudformation:ListStackResources"], stacks),
            (["sqs:GetQueueAttributes", "sqs:SendMessage"], [queue.queue_arn for queue in queues]),
            (
                ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
                [queue.queue_arn for queue in dead_letters],
            ),
            (
                ["dynamodb:GetItem", "dynamodb:Query"],
                [enrollments, sis_batches, *(f"{enrollments}/index/{name}" for name in ROSTER_INDEXES)],
            ),
            (["dynamodb:Scan"], [f"{sis_batches}/index/{UNFINISHED_INDEX}"]),
            (["events:DescribeEventBus", "events:PutEvents", "events:StartReplay"], [bus.event_bus_arn]),
            (
                ["events:DescribeArchive", "events:StartReplay"],
                [stack.format_arn(service="events", resource="archive", resource_name="*")],
            ),
            (
                ["events:CancelReplay", "events:DescribeReplay", "events:StartReplay"],
                [stack.format_arn(service="events", resource="replay", resource_name="*")],
            ),
            (["sns:ListSubscriptionsByTopic"], [topic.topic_arn for topic in topics]),
            (
                ["cloudwatch:DescribeAlarmHistory", "cloudwatch:SetAlarmState"],
                [stack.format_arn(service="cloudwatch", resource=f"alarm:{stack.stack_name}-*")],
            ),
            # DescribeAlarms takes a prefix, which is not a resource.
            (["cloudwatch:DescribeAlarms"], [stack.format_arn(service="cloudwatch", resource="alarm:*")]),
            # These do not support resources. Source: Service Authorization Reference.
            (
                [
                    "cloudwatch:GetMetricData",
                    "events:ListArchives",
                    "events:ListRules",
                    "events:TestEventPattern",
                    "lambda:ListEventSourceMappings",
                ],
                ["*"],
            ),
            *([] if reconciliation is None else reconciliation.operators_requests()),
        ]
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="Lets an operator run the command line of this stage: look, redrive, replay, verify.",
            statements=[iam.PolicyStatement(actions=actions, resources=resources) for actions, resources in allowed],
        )
        acknowledge_wildcards(
            self.policy,
            (resource for _, resources in allowed for resource in resources if resource.endswith("*")),
            reason="For the generated part of a name, or for a request that does not support resources.",
        )
