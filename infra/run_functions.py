"""The Lambda functions of the reconciliation, each with exactly the permissions that its handler needs."""

import re
from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from functions.routes import TableName
from infra.function import LeastPrivilegeFunction
from infra.indexes import UNFINISHED_INDEX
from infra.run_names import run_arn
from infra.settings import Reconciliation, Settings
from infra.wildcards import acknowledge_wildcards

PUBLISHERS = 2
"""Workers that publish concurrently, each with its share of `corrections_per_second`."""

_QUEUE_DEPTH_LIMIT = 5000
"""Messages in the queues of corrections above which publishing pauses, since events of Canvas wait there, too."""

_LONGEST = cdk.Duration.minutes(15)
"""The limit of Lambda. Longer steps continue in another invocation. Source: Lambda developer guide, "Lambda quotas"."""
_ONE_CPU_MIB = 1769
"""The memory for one vCPU. Source: Lambda developer guide, "Configure Lambda function memory"."""
_MEMORY_MIB = 512
"""The clients of Canvas alone need 100 MiB."""
_DISK = cdk.Size.gibibytes(10)

_Allowed = Sequence[tuple[str, Sequence[str]]]
"""Actions, each with the ARNs of its resources."""


class RunFunctions(Construct):
    """A function for each step of a run, and two hourly functions."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Mapping[TableName, dynamodb.ITableV2],
        bus: events.IEventBus,
        queues: Sequence[sqs.IQueue],
        bucket: s3.IBucket,
        run_number: ssm.IStringParameter,
        code: lambda_.Code,
        settings: Settings,
        reconciliation: Reconciliation,
    ) -> None:
        super().__init__(scope, construct_id)
        self._code = code
        self._settings = settings
        state_machine_arn = run_arn(self, "stateMachine", settings)
        enrollments, sis_batches = tables["enrollments"], tables["sis_batches"]
        objects, reports = (bucket.arn_for_objects(f"runs/*{name}") for name in ("", "/report.json"))
        canvas_data_secret = _secret_resource(reconciliation.canvas_data_secret_arn)
        canvas_secret = _secret_resource(reconciliation.canvas_secret_arn)
        files = {"RUN_BUCKET": bucket.bucket_name}
        school = {"ROOT_ACCOUNT_ID": reconciliation.root_account_id}
        window = {"WINDOW_DAYS": str(reconciliation.window_days)}
        canvas_data = {
            "CANVAS_DATA_URL": reconciliation.canvas_data_url,
            "CANVAS_DATA_SECRET_ARN": reconciliation.canvas_data_secret_arn,
        }
        imports = {
            "CANVAS_URL": reconciliation.canvas_url,
            "CANVAS_SECRET_ARN": reconciliation.canvas_secret_arn,
            "SIS_BATCHES_TABLE": sis_batches.table_name,
            "UNFINISHED_INDEX": UNFINISHED_INDEX,
            **school,
        }

        read_canvas_data_secret = ("secretsmanager:GetSecretValue", [canvas_data_secret])
        put_objects = ("s3:PutObject", [objects])
        read_imports = [
            ("secretsmanager:GetSecretValue", [canvas_secret]),
            ("dynamodb:BatchGetItem", [sis_batches.table_arn]),
            ("dynamodb:Scan", [f"{sis_batches.table_arn}/index/{UNFINISHED_INDEX}"]),
        ]
        # Without ListBucket, S3 answers "access denied" for a missing object.
        list_bucket = ("s3:ListBucket", [bucket.bucket_arn])
        put_events = ("events:PutEvents", [bus.event_bus_arn])

        self.request = self._function(
            "request",
            environment={**canvas_data, **files, **window, "RUN_NUMBER_PARAMETER": run_number.parameter_name},
            allowed=[
                read_canvas_data_secret,
                ("states:ListExecutions", [state_machine_arn]),
                ("ssm:PutParameter", [run_number.parameter_arn]),
                list_bucket,
                ("s3:GetObject", [reports]),
            ],
        )
        self.poll = self._function(
            "poll", environment={**canvas_data, **files}, allowed=[read_canvas_data_secret, put_objects]
        )
        # It parses, compares and compresses rows in one thread.
        self.compare = self._function(
            "compare",
            environment={**canvas_data, **files, **school, "ENROLLMENTS_TABLE": enrollments.table_name},
            allowed=[read_canvas_data_secret, ("dynamodb:BatchGetItem", [enrollments.table_arn]), put_objects],
            memory_mib=_ONE_CPU_MIB,
        )
        self.compare_imports = self._function(
            "compare_imports", environment={**imports, **files, **window}, allowed=[*read_imports, put_objects]
        )
        # Like `compare`; in a full run it has a SQLite file of all user names on its disk.
        self.decide = self._function(
            "decide",
            environment={
                **canvas_data,
                **files,
                **school,
                "ENROLLMENTS_TABLE": enrollments.table_name,
                "SIS_BATCHES_TABLE": sis_batches.table_name,
                "MARGIN_HOURS": str(reconciliation.margin_hours),
                "CORRECTION_LIMIT": str(reconciliation.correction_limit),
                "CORRECTION_LIMIT_PERCENT": str(reconciliation.correction_limit_percent),
            },
            allowed=[
                read_canvas_data_secret,
                ("dynamodb:DescribeTable", [enrollments.table_arn, sis_batches.table_arn]),
                list_bucket,
                ("s3:GetObject", [objects]),
                put_objects,
            ],
            memory_mib=_ONE_CPU_MIB,
            disk=_DISK,
        )
        self.publish = self._function(
            "publish",
            environment={
                **files,
                "EVENT_BUS": bus.event_bus_name,
                "CORRECTIONS_PER_SECOND": str(reconciliation.corrections_per_second // PUBLISHERS),
                "QUEUE_URLS": " ".join(queue.queue_url for queue in queues),
                "QUEUE_DEPTH_LIMIT": str(_QUEUE_DEPTH_LIMIT),
            },
            allowed=[
                put_events,
                ("sqs:GetQueueAttributes", [queue.queue_arn for queue in queues]),
                ("s3:GetObject", [objects]),
            ],
        )
        self.conclude = self._function("conclude", environment=files, allowed=[("s3:GetObject", [reports])])
        self.unfinished_imports = self._function(
            "unfinished_imports",
            environment={**imports, "EVENT_BUS": bus.event_bus_name},
            allowed=[*read_imports, put_events],
        )
        self.run_monitor = self._function(
            "run_monitor",
            environment={"STATE_MACHINE_ARN": state_machine_arn},
            allowed=[
                ("states:ListExecutions", [state_machine_arn]),
                ("states:DescribeStateMachine", [state_machine_arn]),
            ],
        )
        acknowledge_wildcards(
            self,
            (objects, reports),
            reason="The bucket holds runs only, and the name of a run is known when it starts.",
        )
        acknowledge_wildcards(
            self,
            {secret for secret in (canvas_data_secret, canvas_secret) if secret.endswith("?")},
            reason="For the six characters that Secrets Manager adds to the name of a secret.",
        )

    def _function(
        self,
        step: str,
        *,
        environment: Mapping[str, str],
        allowed: _Allowed,
        memory_mib: int = _MEMORY_MIB,
        disk: cdk.Size | None = None,
    ) -> lambda_.Function:
        function = LeastPrivilegeFunction(
            self,
            "".join(word.capitalize() for word in step.split("_")),
            handler=f"reconciliation.handlers.{step}.handler",
            code=self._code,
            settings=self._settings,
            environment=environment,
            timeout=_LONGEST,
            memory_mib=memory_mib,
            disk=disk,
        )
        for action, resources in allowed:
            function.allow(action, *resources)
        return function.function


def _secret_resource(arn: str) -> str:
    """The resource of a policy for the secret `arn`, which may lack the random characters at its end.

    Source: Secrets Manager API reference, "CreateSecret": names of secrets should not end as complete ARNs do.
    """
    return arn if re.search(r"-[A-Za-z0-9]{6}$", arn) else f"{arn}-??????"
