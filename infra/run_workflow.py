"""The state machine of a run: which step follows which, what is retried, and how a failure is reported.

States hand on little, since a history shows it and a payload has at most 256 KiB. The rest are objects in the bucket.
Source of the limits named here: Step Functions developer guide, "Service quotas".
"""

from collections.abc import Mapping
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.run_functions import PUBLISHERS, RunFunctions
from infra.settings import PROJECT, Reconciliation, Settings
from infra.wildcards import acknowledge_wildcards

_COMPARERS = 3
"""Objects that are compared at the same time: about 10,000 read units a second. A new table on demand gives 12,000, and
live readers need some. Source: DynamoDB developer guide, "On-demand capacity mode"."""
_COMPARERS_ON_EMULATOR = 2

# A poll takes nine events of the 25,000 that a history may have, so a day of polling 13,000. A pause before publishing
# takes nine of those of a child execution, whose queues would have to stay full for 23 hours.
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
"""What a step is repeated for: six times in two minutes. Every step may be repeated."""

_INPUT = "{% $states.input %}"
_FAILURE_PATH = "$.failure"

_MESSAGE = """{% (
    $failure := $states.input.failure;
    'Run ' & $states.context.Execution.Name & ' of stage STAGE failed: ' & $failure.Error & '.\\n\\n' &
    ($contains($failure.Cause, /^\\{.*"errorMessage"/) ? $parse($failure.Cause).errorMessage : $failure.Cause) &
    '\\n\\nWhat each error means: docs/operations.md#a-run-failed\\nThe last runs: ops drift --stage STAGE'
) %}"""
"""The cause of a function's error is JSON, that of a state's is text."""


class RunWorkflow(Construct):
    """The state machine, whose role may run the steps, read what its maps iterate over, and notify.

    A run that fails is never redriven, since its error is caught: another run does the same. Its last states find out
    why an item of a map failed, and notify. They are in JSONata: JSONPath cannot read the JSON in a function's error.

    `States.Runtime`, `States.DataLimitExceeded` and the timeout of a run cannot be caught. Of these, and of a
    notification that fails, the alarm RunFailed notifies. Source: Step Functions developer guide, "Error names".
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
        self._notify = self._notification(topic, settings)
        self._explain = self._explanation()
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            state_machine_name=state_machine_name(settings),
            definition_body=sfn.DefinitionBody.from_chainable(self._definition()),
            # Its policy is ours: the CDK would add every version of every function, and redriving.
            role=self._role(topic, settings).without_policy_updates(),
            timeout=cdk.Duration.hours(max(_LONGEST_RUN_HOURS, 2 * reconciliation.schedule_hours)),
        )
        self.state_machine.node.try_remove_child("DistributedMapPolicy")  # added whatever the role says
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
        """May run the steps, read what the maps iterate over, start their items, ask about them, and notify.

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
        request = self._step(
            "Request",
            self._functions.request,
            payload={
                "run": sfn.JsonPath.execution_name,
                "state_machine": sfn.JsonPath.state_machine_id,
                "started_at": sfn.JsonPath.execution_start_time,
                "input": sfn.JsonPath.execution_input,
            },
        )
        wait = self._wait("WaitForResults", _POLL_SECONDS)
        poll = self._step("Poll", self._functions.poll)
        compare_imports = self._step(
            "CompareImports", self._functions.compare_imports, result_path=sfn.JsonPath.DISCARD
        )
        compare = self._compare()
        decide = self._step("Decide", self._functions.decide)
        publish = self._publish()
        conclude = self._step("Conclude", self._functions.conclude)

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

    def _step(
        self,
        name: str,
        function: lambda_.IFunction,
        *,
        payload: Mapping[str, object] | None = None,
        result_path: str | None = None,
    ) -> tasks.LambdaInvoke:
        """A task of the run itself: when it fails, the run notifies and fails."""
        task = self._task(name, function, payload=payload, result_path=result_path)
        task.add_catch(self._notify, errors=[sfn.Errors.ALL], result_path=_FAILURE_PATH)
        return task

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
            retry_on_service_exceptions=False,  # they are in our list
        )
        task.add_retry(errors=_TEMPORARY, interval=cdk.Duration.seconds(2), backoff_rate=2, max_attempts=6)
        return task

    def _map(
        self, name: str, *, reader: sfn.IItemReader, item: Mapping[str, object], max_concurrency: int
    ) -> sfn.DistributedMap:
        """A map of which no item may fail, the default. Its results are in the bucket: what items return is dropped."""
        return sfn.DistributedMap(
            self,
            name,
            label=name,
            item_reader=reader,
            item_selector=item,
            max_concurrency=max_concurrency,
            result_path=sfn.JsonPath.DISCARD,
        ).add_catch(self._explain, errors=[sfn.Errors.ALL], result_path=_FAILURE_PATH)

    def _explanation(self) -> sfn.State:
        """Puts the failure of an item in place of that of its map, which says only that an item failed."""
        find_map = self._question(
            "FindMap",
            "listMapRuns",
            {"ExecutionArn": "{% $states.context.Execution.Id %}"},
            # The maps run one after the other, so the newest has failed.
            keep="map",
            of_answer="$sort($states.result.MapRuns, function($a, $b) { $a.StartDate < $b.StartDate })[0].MapRunArn",
        )
        find_item = self._question(
            "FindFailedItem",
            "listExecutions",
            {"MapRunArn": "{% $states.input.map %}", "StatusFilter": "FAILED", "MaxResults": 1},
            keep="item",
            of_answer="$states.result.Executions[0].ExecutionArn",
        )
        read_failure = self._question(
            "ReadFailure",
            "describeExecution",
            {"ExecutionArn": "{% $states.input.item %}"},
            keep="failure",
            of_answer="{'Error': $states.result.Error & '', 'Cause': $states.result.Cause & ''}",
        )
        find_map.next(find_item).next(read_failure).next(self._notify)
        return find_map

    def _question(
        self, name: str, action: str, arguments: Mapping[str, object], *, keep: str, of_answer: str
    ) -> tasks.CallAwsService:
        """Asks Step Functions about this run, and keeps the value of the expression `of_answer` as `keep`.

        Its lists are "eventually consistent": where there is no such value yet, it asks again. A failure that stays
        unexplained is reported as that of the map. Source: Step Functions API reference, "ListExecutions".
        """
        question = tasks.CallAwsService.jsonata(
            self,
            name,
            service="sfn",
            action=action,
            iam_resources=["*"],  # goes nowhere: the policy is ours
            parameters=arguments,
            outputs=f"{{% ( $value := {of_answer}; $assert($exists($value), 'not yet'); "
            f"$merge([$states.input, {{'{keep}': $value}}]) ) %}}",
        )
        question.add_retry(
            errors=["States.QueryEvaluationError"], interval=cdk.Duration.seconds(2), backoff_rate=2, max_attempts=4
        )
        question.add_catch(self._notify, errors=[sfn.Errors.ALL], outputs=_INPUT)
        return question

    def _notification(self, topic: sns.ITopic, settings: Settings) -> tasks.SnsPublish:
        """Notify of the run's failure, then end the run with the same error and cause."""
        failed = sfn.Fail(self, "Failed", error_path=f"{_FAILURE_PATH}.Error", cause_path=f"{_FAILURE_PATH}.Cause")
        notify = tasks.SnsPublish.jsonata(
            self,
            "Notify",
            topic=topic,
            subject=f"{PROJECT} {settings.stage}: a run of the reconciliation failed",
            message=sfn.TaskInput.from_text(_MESSAGE.replace("STAGE", settings.stage)),
            outputs=_INPUT,
        )
        notify.add_catch(failed, errors=[sfn.Errors.ALL], outputs=_INPUT)
        notify.next(failed)
        return notify

    def _wait(self, name: str, seconds: int) -> sfn.Wait:
        seconds = _SECONDS_ON_EMULATOR if self._on_emulator else seconds
        return sfn.Wait(self, name, time=sfn.WaitTime.duration(cdk.Duration.seconds(seconds)))

    def _end(self, name: str) -> sfn.Succeed:
        """Ends an item with an empty result: those of all items together must stay small."""
        return sfn.Succeed(self, name, output_path=sfn.JsonPath.DISCARD)


def state_machine_name(settings: Settings) -> str:
    """The name of the stage's state machine. Explicit, so that roles of its functions can name it without a circle."""
    return f"{PROJECT}-{settings.stage}-reconciliation"


def run_arn(
    scope: Construct, kind: Literal["stateMachine", "execution", "mapRun"], settings: Settings, suffix: str = ""
) -> str:
    """An ARN of the state machine; with `suffix`, of its executions (`:*`), its map runs or their items (`/*`).

    Source: Service Authorization Reference, "Resource types defined by AWS Step Functions".
    """
    return cdk.Stack.of(scope).format_arn(
        service="states",
        resource=kind,
        resource_name=f"{state_machine_name(settings)}{suffix}",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )


def _object_of_run(name: str) -> str:
    return sfn.JsonPath.format(f"runs/{{}}/{name}", sfn.JsonPath.string_at("$.run"))
