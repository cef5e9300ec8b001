"""The state machine of a run: the order of its steps, and what is retried.

Payloads are small, since the history shows them and they are limited to 256 KiB. Data is in objects of the bucket.
Source of the limits: Step Functions developer guide, "Service quotas".
"""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.run_failure import FAILURE_PATH, RunFailure
from infra.run_functions import PUBLISHERS, RunFunctions
from infra.run_names import run_arn, state_machine_name
from infra.settings import Reconciliation, Settings
from infra.wildcards import acknowledge_wildcards

_COMPARERS = 3
"""Objects that are compared concurrently, at about 10,000 read units a second. A new on-demand table has 12,000, and
readers need some. Source: DynamoDB developer guide, "On-demand capacity mode"."""
_COMPARERS_ON_EMULATOR = 2

# A history is limited to 25,000 events. A poll takes nine, so a day of polling 13,000. A pause takes nine, too, in the
# history of its file: 23 hours of pauses fill it.
_POLL_SECONDS = 60
_PAUSE_SECONDS = 30
_SECONDS_ON_EMULATOR = 2

_LONGEST_RUN_HOURS = 48
"""A full run of ten million enrollments waits six hours for Canvas Data 2 and publishes for 19."""

_TEMPORARY = [
    "TemporaryFailure",
    # Source: Step Functions developer guide, "Handle transient Lambda service exceptions".
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
]
"""Errors for which a step is retried, six times in two minutes. Every step can be repeated."""


class RunWorkflow(Construct):
    """The state machine and its role.

    Errors are caught, so a failed run cannot be redriven by Step Functions: another run does the same. The alarm
    RunFailed covers failed notifications, and what cannot be caught: `States.Runtime`, `States.DataLimitExceeded` and
    the timeout of a run. Source: Step Functions developer guide, "Error names".
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        functions: RunFunctions,
        bucket: s3.IBucket,
        topic: sns.ITopic,
        settings: Settings,
        reconciliation: Reconciliation,
    ) -> None:
        super().__init__(scope, construct_id)
        self._functions = functions
        self._bucket = bucket
        self._on_emulator = settings.runs_on_emulator
        self._failure = RunFailure(self, topic=topic, settings=settings)
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=state_machine_name(settings),
            definition_body=sfn.DefinitionBody.from_chainable(self._definition()),
            # Without the updates of the CDK, which add every version of every function, and redriving.
            role=self._role(topic, settings).without_policy_updates(),
            timeout=cdk.Duration.hours(max(_LONGEST_RUN_HOURS, 2 * reconciliation.schedule_hours)),
        )
        self.state_machine.node.try_remove_child("DistributedMapPolicy")  # the CDK adds it to any role
        cdk.Validations.of(self.state_machine).acknowledge(
            cdk.Acknowledgment(
                id="AwsSolutions::AwsSolutions-SF1",
                reason="Step Functions keeps each history for 90 days; a log would need permissions on all logs.",
            ),
            cdk.Acknowledgment(
                id="AwsSolutions::AwsSolutions-SF2",
                reason="A run is a row of steps, whose durations its history shows.",
            ),
        )

    def _role(self, topic: sns.ITopic, settings: Settings) -> iam.Role:
        """A role that may run the steps, read the input of the maps, run and describe their items, and notify.

        Source: Step Functions developer guide, "IAM policies for using Distributed Map states".
        """
        functions, bucket = self._functions, self._bucket
        steps = (
            *(functions.request, functions.poll, functions.compare_imports, functions.compare),
            *(functions.decide, functions.publish, functions.conclude),
        )
        runs, items, maps = (
            run_arn(self, "execution", settings, ":*"),
            run_arn(self, "execution", settings, "/*"),
            run_arn(self, "mapRun", settings, "/*"),
        )
        machine, parts = run_arn(self, "stateMachine", settings), bucket.arn_for_objects("runs/*/parts.json")
        allowed = [
            (["lambda:InvokeFunction"], [step.function_arn for step in steps]),
            (["s3:GetObject"], [parts]),
            (["s3:ListBucket"], [bucket.bucket_arn]),
            (["states:StartExecution"], [machine]),
            (["states:DescribeExecution", "states:StopExecution"], [runs, items]),
            (["states:ListMapRuns"], [runs]),
            (["states:ListExecutions"], [machine, maps]),
            (["sns:Publish"], [topic.topic_arn]),
        ]
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"))
        for actions, resources in allowed:
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources))
        acknowledge_wildcards(
            role, (parts, runs, items, maps), reason="For the name of a run, which is known when it starts."
        )
        return role

    def _definition(self) -> sfn.IChainable:
        run = {
            "run": sfn.JsonPath.execution_name,
            "state_machine": sfn.JsonPath.state_machine_id,
            "started_at": sfn.JsonPath.execution_start_time,
            "input": sfn.JsonPath.execution_input,
        }
        request = self._step(self._task("Request", self._functions.request, payload=run))
        wait = self._wait("WaitForResults", _POLL_SECONDS)
        poll = self._step(self._task("Poll", self._functions.poll))
        compare_imports = self._step(
            self._task("CompareImports", self._functions.compare_imports, result_path=sfn.JsonPath.DISCARD)
        )
        compare = self._compare()
        decide = self._step(self._task("Decide", self._functions.decide))
        publish = self._publish()
        conclude = self._step(self._task("Conclude", self._functions.conclude))

        request.next(wait).next(poll).next(
            sfn.Choice(self, "AreResultsComplete")
            .when(sfn.Condition.boolean_equals("$.complete", value=True), compare_imports)
            .otherwise(wait)
        )
        compare_imports.next(compare).next(decide).next(
            sfn.Choice(self, "IsEveryFileDecided")
            .when(sfn.Condition.boolean_equals("$.decide.done", value=False), decide)
            .when(sfn.Condition.boolean_equals("$.dry_run", value=True), conclude)
            .when(sfn.Condition.number_equals("$.decide.files", 0), conclude)
            .otherwise(publish)
        )
        publish.next(conclude)
        return request

    def _compare(self) -> sfn.DistributedMap:
        """Compare every part of the results, each from its first chunk on until it is done."""
        part = "$$.Map.Item.Value"
        compare = self._map(
            "Compare",
            reader=sfn.S3JsonItemReader(bucket=self._bucket, key=_object_of_run("parts.json")),
            item={
                "run": sfn.JsonPath.string_at("$.run"),
                "full": sfn.JsonPath.object_at("$.full"),
                "table": sfn.JsonPath.string_at(f"{part}.table"),
                "part": sfn.JsonPath.number_at(f"{part}.part"),
                "object": sfn.JsonPath.string_at(f"{part}.object"),
                "at": sfn.JsonPath.string_at(f"{part}.at"),
                "chunk": 0,
            },
            max_concurrency=_COMPARERS_ON_EMULATOR if self._on_emulator else _COMPARERS,
        )
        step = self._task("ComparePart", self._functions.compare)
        compare.item_processor(
            step.next(
                sfn.Choice(self, "IsPartCompared")
                .when(sfn.Condition.boolean_equals("$.done", value=True), self._end("PartCompared"))
                .otherwise(step)
            )
        )
        return compare

    def _publish(self) -> sfn.DistributedMap:
        """Publish every file of corrections, each from its first line on; pause while the queues are full."""
        publish = self._map(
            "Publish",
            reader=sfn.S3ObjectsItemReader(bucket=self._bucket, prefix=_object_of_run("corrections/")),
            item={
                "run": sfn.JsonPath.string_at("$.run"),
                "key": sfn.JsonPath.string_at("$$.Map.Item.Value.Key"),
                "line": 0,
            },
            max_concurrency=PUBLISHERS,
        )
        step = self._task("PublishFile", self._functions.publish)
        pause = self._wait("PauseForQueues", _PAUSE_SECONDS)
        publish.item_processor(
            step.next(
                sfn.Choice(self, "IsFilePublished")
                .when(sfn.Condition.boolean_equals("$.done", value=True), self._end("FilePublished"))
                .when(sfn.Condition.boolean_equals("$.wait", value=True), pause)
                .otherwise(step)
            )
        )
        pause.next(step)
        return publish

    def _step(self, task: tasks.LambdaInvoke) -> sfn.TaskStateBase:
        """Add to `task`, a step of the run itself, that the run notifies and fails where the task does."""
        return task.add_catch(self._failure.notify, errors=[sfn.Errors.ALL], result_path=FAILURE_PATH)

    def _task(
        self,
        name: str,
        function: lambda_.IFunction,
        *,
        payload: Mapping[str, object] | None = None,
        result_path: str | None = None,
    ) -> tasks.LambdaInvoke:
        task = tasks.LambdaInvoke(
            self,
            name,
            lambda_function=function,
            payload=None if payload is None else sfn.TaskInput.from_object(payload),
            payload_response_only=True,
            result_path=result_path,
            retry_on_service_exceptions=False,  # _TEMPORARY has them
        )
        task.add_retry(errors=_TEMPORARY, interval=cdk.Duration.seconds(2), backoff_rate=2, max_attempts=6)
        return task

    def _map(
        self, name: str, *, reader: sfn.IItemReader, item: Mapping[str, object], max_concurrency: int
    ) -> sfn.DistributedMap:
        """A map in which no item may fail. The results of items are in the bucket; what they return is dropped."""
        return sfn.DistributedMap(
            self,
            name,
            label=name,
            item_reader=reader,
            item_selector=item,
            max_concurrency=max_concurrency,
            result_path=sfn.JsonPath.DISCARD,
        ).add_catch(self._failure.explain, errors=[sfn.Errors.ALL], result_path=FAILURE_PATH)

    def _wait(self, name: str, seconds: int) -> sfn.Wait:
        seconds = _SECONDS_ON_EMULATOR if self._on_emulator else seconds
        return sfn.Wait(self, name, time=sfn.WaitTime.duration(cdk.Duration.seconds(seconds)))

    def _end(self, name: str) -> sfn.Succeed:
        """The end of an item, with an empty result, since the results of all items together must be small."""
        return sfn.Succeed(self, name, output_path=sfn.JsonPath.DISCARD)


def _object_of_run(name: str) -> str:
    return sfn.JsonPath.format(f"runs/{{}}/{name}", sfn.JsonPath.string_at("$.run"))
