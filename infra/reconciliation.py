"""Reconciliation of the tables with Canvas: its functions, state machine, schedules and alarms."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from functions.routes import CORRECTION_EVENTS, TableName
from infra.alarms import AN_HOUR, ATTEMPTS_OF_A_SCHEDULE, Alarms, metric_math
from infra.event_route import EventRoute
from infra.metrics import CustomMetrics
from infra.run_functions import RunFunctions
from infra.run_names import run_arn
from infra.run_workflow import RunWorkflow
from infra.settings import Reconciliation, Settings

_SCHEDULED_RUN = {"full": False, "dry_run": False, "expected": False}

_FLEXIBLE_WINDOW = cdk.Duration.minutes(15)
_LONGEST_EVENT_AGE_HOURS = 24
"""Source: EventBridge Scheduler API reference, "RetryPolicy"."""

_OVERDUE_AFTER_SCHEDULES = 2


class ReconciliationRuns(Construct):
    """Functions, state machine, bucket, schedules and alarms of the reconciliation.

    They are in the pipeline stack, since they refer to its bus, queues and topics. A separate stack would import them,
    and CloudFormation refuses to remove an export that is imported: no route could be removed.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        tables: Mapping[TableName, dynamodb.ITableV2],
        bus: events.IEventBus,
        routes: Mapping[str, EventRoute],
        alarms: Alarms,
        code: lambda_.Code,
        settings: Settings,
        reconciliation: Reconciliation,
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self._reconciliation = reconciliation
        bucket = _run_bucket(self, settings)
        self._functions = RunFunctions(
            self,
            "Functions",
            tables=tables,
            bus=bus,
            queues=[routes[event_name].queue for event_name in CORRECTION_EVENTS.values() if event_name in routes],
            bucket=bucket,
            run_number=self._run_number(),
            code=code,
            settings=settings,
            reconciliation=reconciliation,
        )
        self.state_machine = RunWorkflow(
            self,
            "Workflow",
            functions=self._functions,
            bucket=bucket,
            topic=alarms.topics["notify"],
            settings=settings,
            reconciliation=reconciliation,
        ).state_machine
        self._schedule()
        self._alarm(alarms, CustomMetrics(settings.metrics_namespace))

    def operators_requests(self) -> list[tuple[list[str], list[str]]]:
        """The permissions of operators, actions and ARNs: they may start, list, describe and stop runs.

        They may read neither the bucket nor the secrets.
        """
        return [
            (
                ["states:DescribeStateMachine", "states:ListExecutions", "states:StartExecution"],
                [self.state_machine.state_machine_arn],
            ),
            (
                ["states:DescribeExecution", "states:ListMapRuns", "states:StopExecution"],
                [run_arn(self, "execution", self._settings, ":*")],
            ),
            (["states:DescribeMapRun"], [run_arn(self, "mapRun", self._settings, "/*")]),
        ]

    def _run_number(self) -> ssm.StringParameter:
        """The parameter to which each run writes its name, and whose version is the number of the run.

        Parameter Store keeps the last 100 versions and removes older ones. Source: Systems Manager API reference,
        "PutParameter", ParameterMaxVersionLimitExceeded.
        """
        return ssm.StringParameter(
            self,
            "RunNumber",
            parameter_name=f"{self._settings.parameter_path}/reconciliation-run",
            description="The last run of the reconciliation. Its version is the number of the run.",
            string_value="none",
        )

    def _schedule(self) -> None:
        """Add the schedules of runs, and of the two hourly functions.

        Without a dead-letter queue, an invocation is dropped when its retries are exhausted: the next one makes up for
        it, and the alarm RunOverdue notifies where runs are missing. Source: EventBridge Scheduler user guide,
        "Configuring a dead-letter queue". On the emulator the schedules are disabled.
        """
        hours = self._reconciliation.schedule_hours
        role = self._scheduler_role("RunSchedulerRole", "states:StartExecution", self.state_machine.state_machine_arn)
        self._add_schedule(
            "RunSchedule",
            scheduler.ScheduleExpression.rate(cdk.Duration.hours(hours)),
            targets.StepFunctionsStartExecution(
                self.state_machine,
                input=scheduler.ScheduleTargetInput.from_object(_SCHEDULED_RUN),
                max_event_age=cdk.Duration.hours(min(hours, _LONGEST_EVENT_AGE_HOURS)),
                role=role,
            ),
            window=scheduler.TimeWindow.flexible(_FLEXIBLE_WINDOW),
        )
        for name, function, minute in (
            ("RunMonitor", self._functions.run_monitor, 15),
            ("UnfinishedImports", self._functions.unfinished_imports, 45),
        ):
            role = self._scheduler_role(f"{name}SchedulerRole", "lambda:InvokeFunction", function.function_arn)
            self._add_schedule(
                f"{name}Schedule",
                scheduler.ScheduleExpression.cron(minute=str(minute)),
                targets.LambdaInvoke(function, max_event_age=AN_HOUR, role=role),
                window=scheduler.TimeWindow.off(),
            )

    def _add_schedule(
        self,
        construct_id: str,
        expression: scheduler.ScheduleExpression,
        target: scheduler.IScheduleTarget,
        *,
        window: scheduler.TimeWindow,
    ) -> None:
        scheduler.Schedule(
            self,
            construct_id,
            schedule=expression,
            target=target,
            time_window=window,
            enabled=not self._settings.runs_on_emulator,
        )

    def _scheduler_role(self, construct_id: str, action: str, resource: str) -> iam.IRole:
        """A role that allows schedules of this account `action` on the ARN `resource`.

        Source: EventBridge Scheduler user guide, "Confused deputy prevention".
        """
        stack = cdk.Stack.of(self)
        group = stack.format_arn(service="scheduler", resource="schedule-group", resource_name="default")
        role = iam.Role(
            self,
            construct_id,
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": stack.account, "aws:SourceArn": group}},
            ),
        )
        role.add_to_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
        return role.without_policy_updates()  # the CDK would add every version of the function

    def _alarm(self, alarms: Alarms, metrics: CustomMetrics) -> None:
        hours = _OVERDUE_AFTER_SCHEDULES * self._reconciliation.schedule_hours
        machine = self.state_machine
        # They count runs only: executions of items count under the ARN of their map. Source: Step Functions developer
        # guide, "Viewing a Distributed Map Run execution".
        failures: list[cloudwatch.IMetric] = [
            machine.metric_failed(),
            machine.metric_timed_out(),
            machine.metric_aborted(),
        ]
        alarms.add(
            "RunFailed",
            metric_math("SUM", "failed runs", failures),
            severity="notify",
            meaning="A run of the reconciliation failed, took too long, or was stopped.",
        )
        alarms.add(
            "RunOverdue",
            metrics.custom_metric("HoursSinceRun", "Maximum", period=AN_HOUR),
            severity="notify",
            threshold=hours,
            meaning=f"For {hours} hours no run has compared the tables with Canvas.",
        )
        found = [
            *metrics.metric_by_family("Missing", period=AN_HOUR),
            *metrics.metric_by_family("Drifted", period=AN_HOUR),
        ]
        alarms.add(
            "DriftFound",
            metric_math("SUM", "missing or wrong", found, period=AN_HOUR),
            severity="notify",
            threshold=self._reconciliation.drift_alarm,
            meaning=f"A run found {self._reconciliation.drift_alarm} or more items missing or wrong.",
        )
        hourly = [self._functions.run_monitor, self._functions.unfinished_imports]
        alarms.add(
            "HourlyErrors",
            metric_math(
                "MAX", "errors", [function.metric_errors(period=AN_HOUR) for function in hourly], period=AN_HOUR
            ),
            severity="notify",
            threshold=ATTEMPTS_OF_A_SCHEDULE,
            meaning="The run monitor, or the function for unfinished imports, failed at every attempt of an hour.",
        )


def _run_bucket(scope: Construct, settings: Settings) -> s3.Bucket:
    """The bucket of the files of runs: rows, corrections and, in full runs, names.

    An object expires at the first midnight, UTC, at least three days after it was written. Source: S3 user guide,
    "Lifecycle rules: Based on an object's age". The bucket is retained when its stack or the reconciliation is removed,
    since CloudFormation can delete empty buckets only.
    """
    bucket = s3.Bucket(
        scope,
        "Bucket",
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        enforce_ssl=not settings.runs_on_emulator,
        lifecycle_rules=[
            s3.LifecycleRule(
                expiration=cdk.Duration.days(3), abort_incomplete_multipart_upload_after=cdk.Duration.days(1)
            )
        ],
        removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )
    cdk.Validations.of(bucket).acknowledge(
        cdk.Acknowledgment(
            id="AwsSolutions::AwsSolutions-S1",
            reason="Only functions of this stack have access to it. A bucket of its logs would outlive its objects.",
        )
    )
    return bucket
