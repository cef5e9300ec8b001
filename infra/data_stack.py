"""The stack of the data: two tables and the policy that lets other services read them."""

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import Construct

from functions.routes import TableName
from infra.settings import Settings

UNFINISHED_INDEX = "unfinished"

_ROSTER_INDEXES = {
    "by_course": ("course_id", "user_id"),
    "by_user": ("user_id", "course_id"),
}

_ROSTER = ["type", "workflow_state", "state", "restricted_access", "course_section_id", "user_name"]
"""What a roster shows. No version and no time: a write that changes none of these costs nothing on the indexes."""


class DataStack(cdk.Stack):
    """The tables, apart from the pipeline that fills them, which can be replaced without touching them."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, **stack: object) -> None:
        super().__init__(scope, construct_id, termination_protection=settings.keeps_data, **stack)  # type: ignore[arg-type]
        self._settings = settings
        self.tables: dict[TableName, dynamodb.TableV2] = {
            "enrollments": self._table(
                "Enrollments",
                partition_key=_string("enrollment_id"),
                global_secondary_indexes=[_roster_index(name, *keys) for name, keys in _ROSTER_INDEXES.items()],
            ),
            "sis_batches": self._table(
                "SisBatches",
                partition_key=_string("account_id"),
                sort_key=dynamodb.Attribute(name="sis_batch_id", type=dynamodb.AttributeType.NUMBER),
                # Sparse: only an unfinished import has the attribute, so a finished one costs nothing here.
                global_secondary_indexes=[
                    dynamodb.GlobalSecondaryIndexPropsV2(
                        index_name=UNFINISHED_INDEX,
                        partition_key=_string("unfinished_since"),
                        projection_type=dynamodb.ProjectionType.KEYS_ONLY,
                    )
                ],
            ),
        }
        self._outputs()

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
            removal_policy=self._settings.removal_policy,
            **shape,  # type: ignore[arg-type]
        )

    def _outputs(self) -> None:
        readers = iam.ManagedPolicy(
            self,
            "Readers",
            description="Lets a reader service query the state of enrollments and SIS imports, and follow its changes.",
            statements=[
                iam.PolicyStatement(
                    actions=["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"],
                    resources=[
                        *(table.table_arn for table in self.tables.values()),
                        *(f"{self.tables['enrollments'].table_arn}/index/{name}" for name in _ROSTER_INDEXES),
                    ],
                ),
                iam.PolicyStatement(
                    actions=["dynamodb:Scan"],
                    resources=[f"{self.tables['sis_batches'].table_arn}/index/{UNFINISHED_INDEX}"],
                ),
                iam.PolicyStatement(
                    actions=["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
                    resources=[_stream_arn(table) for table in self.tables.values()],
                ),
            ],
        )
        for table in self.tables.values():
            # Exported whether a route writes the table or not: an export that vanished with its last import would block
            # the deployment, since this stack is updated first.
            self.export_value(table.table_name)
            self.export_value(table.table_arn)
            cdk.CfnOutput(self, f"{table.node.id}Table", value=table.table_name)
            cdk.CfnOutput(self, f"{table.node.id}TableArn", value=table.table_arn)
            cdk.CfnOutput(self, f"{table.node.id}StreamArn", value=_stream_arn(table))
        cdk.CfnOutput(self, "ReadersPolicyArn", value=readers.managed_policy_arn)


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def _roster_index(name: str, partition_key: str, sort_key: str) -> dynamodb.GlobalSecondaryIndexPropsV2:
    return dynamodb.GlobalSecondaryIndexPropsV2(
        index_name=name,
        partition_key=_string(partition_key),
        sort_key=_string(sort_key),
        projection_type=dynamodb.ProjectionType.INCLUDE,
        non_key_attributes=_ROSTER,
    )


def _stream_arn(table: dynamodb.TableV2) -> str:
    arn = table.table_stream_arn
    assert arn is not None, "a table with a stream has its ARN"
    return arn
