"""The last states of a failed run, in JSONata: JSONPath cannot parse the JSON in the error of a function."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from functions.routes import PROJECT
from infra.settings import Settings

FAILURE_PATH = "$.failure"
"""Where a state that catches an error stores it."""

_INPUT = "{% $states.input %}"

_MESSAGE = """{% (
    $failure := $states.input.failure;
    'Run ' & $states.context.Execution.Name & ' of stage STAGE failed: ' & $failure.Error & '.\\n\\n' &
    ($contains($failure.Cause, /^\\{.*"errorMessage"/) ? $parse($failure.Cause).errorMessage : $failure.Cause) &
    '\\n\\nWhat each error means: docs/operations.md#a-run-failed\\nThe last runs: ops drift --stage STAGE'
) %}"""
"""The cause of an error is JSON where a function failed, text where a state did."""


class RunFailure:
    """The states after a failure, as states of `scope`.

    Attributes:
        notify: notifies of the failure at `FAILURE_PATH`, and ends the run with its error and cause.
        explain: replaces the failure of a map, which says only that an item failed, by that of the item, then notifies.
    """

    def __init__(self, scope: Construct, *, topic: sns.ITopic, settings: Settings) -> None:
        self._scope = scope
        self.notify = self._notification(topic, settings)
        self.explain = self._explanation()

    def _notification(self, topic: sns.ITopic, settings: Settings) -> tasks.SnsPublish:
        failed = sfn.Fail(self._scope, "Failed", error_path=f"{FAILURE_PATH}.Error", cause_path=f"{FAILURE_PATH}.Cause")
        notify = tasks.SnsPublish.jsonata(
            self._scope,
            "Notify",
            topic=topic,
            subject=f"{PROJECT} {settings.stage}: a run of the reconciliation failed",
            message=sfn.TaskInput.from_text(_MESSAGE.replace("STAGE", settings.stage)),
            outputs=_INPUT,
        )
        notify.add_catch(failed, errors=[sfn.Errors.ALL], outputs=_INPUT)
        notify.next(failed)
        return notify

    def _explanation(self) -> sfn.State:
        find_map = self._question(
            "FindMap",
            "listMapRuns",
            {"ExecutionArn": "{% $states.context.Execution.Id %}"},
            # Maps run one after the other, so the newest has failed.
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
        find_map.next(find_item).next(read_failure).next(self.notify)
        return find_map

    def _question(
        self, name: str, action: str, arguments: Mapping[str, object], *, keep: str, of_answer: str
    ) -> tasks.CallAwsService:
        """A request to Step Functions about this run, which stores the value of `of_answer` as `keep`.

        It is retried while there is no value, since lists are eventually consistent. Where that fails, the failure of
        the map is reported. Source: Step Functions API reference, "ListExecutions".
        """
        question = tasks.CallAwsService.jsonata(
            self._scope,
            name,
            service="sfn",
            action=action,
            iam_resources=["*"],  # unused, since the role has its own policy
            parameters=arguments,
            outputs=f"{{% ( $value := {of_answer}; $assert($exists($value), 'not yet'); "
            f"$merge([$states.input, {{'{keep}': $value}}]) ) %}}",
        )
        question.add_retry(
            errors=["States.QueryEvaluationError"], interval=cdk.Duration.seconds(2), backoff_rate=2, max_attempts=4
        )
        question.add_catch(self.notify, errors=[sfn.Errors.ALL], outputs=_INPUT)
        return question
