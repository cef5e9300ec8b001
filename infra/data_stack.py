"""The data stack: two tables, and a policy for services that read them."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from functions.routes import TableName
from infra.indexes import ROSTER_ATTRIBUTES, ROSTER_INDEXES, UNFINISHED_INDEX
from infra.published_names import publish
from infra.retention import removal_policy
from infra.settings import Settings


class DataStack(cdk.Stack):
    """The tables, in a stack of their own, so that the pipeline can be replaced without them."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, **stack: object) -> None:
        super().__init__(scope, construct_id, termination_protection=settings.keeps_data, **stack)  # type: ignore[arg-type]
        self._settings = settings
        warm = _warm_throughput(settings)
        self.tables: dict[TableName, dynamodb.TableV2] = {
            "enrollments": self._table(
                "Enrollments",
                partition_key=_string("enrollment_id"),
                global_secondary_indexes=[_roster_index(name, *keys, warm) for name, keys in ROSTER_INDEXES.items()],
                warm_throughput=warm,
            ),
            "sis_batches": self._table(
                "SisBatches",
                partition_key=_string("account_id"),
                sort_key=dynamodb.Attribute(name="sis_batch_id", type=dynamodb.AttributeType.NUMBER),
                # Sparse: only unfinished imports have the attribute, so that others cost nothing on the index.
                global_secondary_indexes=[
                    dynamodb.GlobalSecondaryIndexPropsV2(
                        index_name=UNFINISHED_INDEX,
                        partition_key=_string("unfinished_since"),
                        projection_type=dynamodb.ProjectionType.KEYS_ONLY,
                    )
                ],
            ),
        }
        self._publish_names()

    def _table(self, construct_id: str, **shape: object) -> dynamodb.TableV2:
        return dynamodb.TableV2(
            self,
            construct_id,
            billing=dynamodb.Billing.on_demand(),
            encryption=dynamodb.TableEncryptionV2.dynamo_owned_key(),
            dynamo_stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=self._settings.keeps_data,
            removal_policy=removal_policy(self._settings),
            **shape,  # type: ignore[arg-type]
        )

    def _publish_names(self) -> None:
        parameters = []
        for table in self.tables.values():
            # Exported even where no route writes the table: an export that is removed with its last import blocks the
            # deployment, since this stack is updated first.
            self.export_value(table.table_name)
            self.export_value(table.table_arn)
            for name, value in (
                ("Table", table.table_name),
                ("TableArn", table.table_arn),
                ("StreamArn", _stream_arn(table)),
            ):
                parameters.append(publish(self, f"{table.node.id}{name}", value, settings=self._settings))
        policy = self._readers_policy(parameters)
        publish(self, "ReadersPolicyArn", policy.managed_policy_arn, settings=self._settings)

    def _readers_policy(self, parameters: Sequence[ssm.IParameter]) -> iam.ManagedPolicy:
        return iam.ManagedPolicy(
            self,
            "Readers",
            description="Lets a reader service query the state of enrollments and SIS imports, and follow its changes.",
            statements=[
                iam.PolicyStatement(
                    actions=["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"],
                    resources=[
                        *(table.table_arn for table in self.tables.values()),
                        *(f"{self.tables['enrollments'].table_arn}/index/{name}" for name in ROSTER_INDEXES),
                    ],
                ),
                iam.PolicyStatement(
                    actions=["dynamodb:Scan"],
                    resources=[f"{self.tables['sis_batches'].table_arn}/index/{UNFINISHED_INDEX}"],
                ),
                # For an event source mapping of a reader. Source: DynamoDB developer guide, "IAM policy to grant read
                # access for a DynamoDB stream only".
                iam.PolicyStatement(
                    actions=[
                        "dynamodb:DescribeStream",
                        "dynamodb:GetRecords",
                        "dynamodb:GetShardIterator",
                        "dynamodb:ListStreams",
                    ],
                    resources=[_stream_arn(table) for table in self.tables.values()],
                ),
                iam.PolicyStatement(
                    actions=["ssm:GetParameter", "ssm:GetParameters"],
                    resources=[parameter.parameter_arn for parameter in parameters],
                ),
            ],
        )


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def _warm_throughput(settings: Settings) -> dynamodb.WarmThroughput | None:
    """The throughput of a table before it has adapted to its load. AWS never lowers it, and bills each increase."""
    if settings.warm_write_units is None and settings.warm_read_units is None:
        return None
    return dynamodb.WarmThroughput(
        read_units_per_second=settings.warm_read_units, write_units_per_second=settings.warm_write_units
    )


def _roster_index(
    name: str, partition_key: str, sort_key: str, warm_throughput: dynamodb.WarmThroughput | None
) -> dynamodb.GlobalSecondaryIndexPropsV2:
    return dynamodb.GlobalSecondaryIndexPropsV2(
        index_name=name,
        partition_key=_string(partition_key),
        sort_key=_string(sort_key),
        projection_type=dynamodb.ProjectionType.INCLUDE,
        non_key_attributes=list(ROSTER_ATTRIBUTES),
        warm_throughput=warm_throughput,
    )


def _stream_arn(table: dynamodb.TableV2) -> str:
    arn = table.table_stream_arn
    assert arn is not None, "a table with a stream has its ARN"
    return arn
