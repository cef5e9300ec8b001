"""State machine of a run: its states, its retries, and the report of every failure."""

import json

import pytest

from infra.run_functions import PUBLISHERS
from tests.infra.templates import definition_of, of_type

TEMPORARY = [
    "TemporaryFailure",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
]
STEPS = {
    "Request": "request",
    "Poll": "poll",
    "CompareImports": "compare_imports",
    "Decide": "decide",
    "Conclude": "conclude",
}
ITEMS = {"Compare": ("ComparePart", "compare"), "Publish": ("PublishFile", "publish")}
QUESTIONS = {
    "FindMap": ("listMapRuns", "FindFailedItem"),
    "FindFailedItem": ("listExecutions", "ReadFailure"),
    "ReadFailure": ("describeExecution", "Notify"),
}


@pytest.fixture(scope="module")
def definition(reconciled):
    return definition_of(reconciled.pipeline)


@pytest.fixture(scope="module")
def states(definition):
    return definition["States"]


def items_of(states, name):
    """States of the items of a map."""
    return states[name]["ItemProcessor"]["States"]


def every_state(states):
    """All states by name, those of the items of maps included."""
    return states | {name: state for of in ITEMS for name, state in items_of(states, of).items()}


def test_these_are_the_states_and_their_order(definition, states):
    assert definition["StartAt"] == "Request"
    following = {name: state.get("Next") for name, state in states.items() if state["Type"] not in ("Choice", "Fail")}
    assert following == {
        "Request": "WaitForResults",
        "WaitForResults": "Poll",
        "Poll": "AreResultsComplete",
        "CompareImports": "Compare",
        "Compare": "Decide",
        "Decide": "IsEveryFileDecided",
        "Publish": "Conclude",
        "Conclude": None,
        "FindMap": "FindFailedItem",
        "FindFailedItem": "ReadFailure",
        "ReadFailure": "Notify",
        "Notify": "Failed",
    }
    assert states["Conclude"]["End"] is True


@pytest.mark.parametrize(("name", "step"), STEPS.items())
def test_a_step_is_repeated_when_it_may_succeed_later_and_otherwise_ends_the_run_with_its_error(states, name, step):
    state = states[name]
    assert (state["Type"], state["Resource"]) == ("Task", step)
    assert state["Retry"] == [{"ErrorEquals": TEMPORARY, "IntervalSeconds": 2, "BackoffRate": 2, "MaxAttempts": 6}]
    assert state["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Notify"}]


@pytest.mark.parametrize(("name", "item"), ITEMS.items())
def test_an_item_is_repeated_in_the_same_way_and_one_that_fails_fails_its_map(states, name, item):
    task, step = item
    state = items_of(states, name)[task]
    assert state["Resource"] == step
    assert state["Retry"] == [{"ErrorEquals": TEMPORARY, "IntervalSeconds": 2, "BackoffRate": 2, "MaxAttempts": 6}]
    # Not caught, so that the item fails. No item may fail.
    assert "Catch" not in state
    assert not [key for key in states[name] if key.startswith("ToleratedFailure")]
    assert states[name]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "FindMap"}]


def test_what_ends_a_run_is_never_retried(states):
    retried = {
        error
        for state in every_state(states).values()
        for retry in state.get("Retry", [])
        for error in retry["ErrorEquals"]
    }
    assert retried == {*TEMPORARY, "States.QueryEvaluationError"}


def test_the_first_step_has_the_name_and_the_options_of_the_run(states):
    assert states["Request"]["Parameters"] == {
        "run.$": "$$.Execution.Name",
        "state_machine.$": "$$.StateMachine.Id",
        "started_at.$": "$$.Execution.StartTime",
        "input.$": "$$.Execution.Input",
    }


def test_results_are_polled_every_minute_until_they_are_complete(states):
    assert states["WaitForResults"]["Seconds"] == 60
    choice = states["AreResultsComplete"]
    assert choice["Choices"] == [{"Variable": "$.complete", "BooleanEquals": True, "Next": "CompareImports"}]
    assert choice["Default"] == "WaitForResults"


def value_at(path, state):
    for key in path.removeprefix("$.").split("."):
        state = state[key]
    return state


def chosen(choice, state):
    """State that follows `choice`, where the input is `state`."""
    for rule in choice["Choices"]:
        value = value_at(rule["Variable"], state)
        if value == rule.get("BooleanEquals", rule.get("NumericEquals")):
            return rule["Next"]
    return choice["Default"]


@pytest.mark.parametrize(
    ("dry_run", "done", "files", "following"),
    [
        (False, False, 0, "Decide"),
        (True, False, 0, "Decide"),
        (False, True, 0, "Conclude"),  # nothing to publish
        (True, True, 0, "Conclude"),
        (True, True, 5, "Conclude"),  # a dry run publishes nothing
        (False, True, 5, "Publish"),
    ],
)
def test_only_a_run_that_is_not_dry_publishes_and_only_once_everything_is_decided(
    states, dry_run, done, files, following
):
    run = {"dry_run": dry_run, "decide": {"done": done, "files": files}}
    assert chosen(states["IsEveryFileDecided"], run) == following


def test_nothing_but_that_choice_leads_to_publishing(states):
    ways = [
        name for name, state in states.items() if state.get("Next") == "Publish" or state.get("Default") == "Publish"
    ]
    ways += [name for name, state in states.items() if any(c["Next"] == "Publish" for c in state.get("Choices", []))]
    assert ways == ["IsEveryFileDecided"]


def test_parts_are_compared_ten_at_a_time_each_until_it_is_done(states):
    compare = states["Compare"]
    assert (compare["MaxConcurrency"], compare["Label"]) == (3, "Compare")
    reader = compare["ItemReader"]
    assert reader["Resource"].endswith(":states:::s3:getObject")
    assert reader["ReaderConfig"] == {"InputType": "JSON"}
    assert reader["Parameters"]["Key.$"] == "States.Format('runs/{}/parts.json', $.run)"
    part = "$$.Map.Item.Value"
    assert compare["ItemSelector"] == {
        "run.$": "$.run",
        "full.$": "$.full",
        "table.$": f"{part}.table",
        "part.$": f"{part}.part",
        "object.$": f"{part}.object",
        "at.$": f"{part}.at",
        "chunk": 0,
    }
    choice = items_of(states, "Compare")["IsPartCompared"]
    assert chosen(choice, {"done": True}) == "PartCompared"
    assert chosen(choice, {"done": False}) == "ComparePart"


def test_files_are_published_by_two_workers_each_until_it_is_done_with_pauses_for_the_queues(states):
    publish = states["Publish"]
    assert (publish["MaxConcurrency"], publish["Label"]) == (PUBLISHERS, "Publish") == (2, "Publish")
    reader = publish["ItemReader"]
    assert reader["Resource"].endswith(":states:::s3:listObjectsV2")
    assert reader["Parameters"]["Prefix.$"] == "States.Format('runs/{}/corrections/', $.run)"
    assert publish["ItemSelector"] == {"run.$": "$.run", "key.$": "$$.Map.Item.Value.Key", "line": 0}
    items = items_of(states, "Publish")
    choice = items["IsFilePublished"]
    assert chosen(choice, {"done": True, "wait": False}) == "FilePublished"
    assert chosen(choice, {"done": False, "wait": True}) == "PauseForQueues"
    assert chosen(choice, {"done": False, "wait": False}) == "PublishFile"
    assert (items["PauseForQueues"]["Seconds"], items["PauseForQueues"]["Next"]) == (30, "PublishFile")


@pytest.mark.parametrize("name", ITEMS)
def test_items_are_executions_of_their_own_that_may_take_long(states, name):
    # An express execution is limited to five minutes.
    assert states[name]["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


def test_no_path_gathers_results(states):
    # Results of maps, items and the step of imports are dropped: a state is limited to 256 KiB.
    assert [states[name]["ResultPath"] for name in ("CompareImports", "Compare", "Publish")] == [None] * 3
    ends = [state for name in ITEMS for state in items_of(states, name).values() if state["Type"] == "Succeed"]
    assert [end["OutputPath"] for end in ends] == [None, None]
    # Every other step returns the whole state of the run, which replaces the input.
    for name in ("Request", "Poll", "Decide", "Conclude"):
        assert "ResultPath" not in states[name]


@pytest.mark.parametrize(("seconds", "hours"), [("WaitForResults", 6), ("PauseForQueues", 22)])
def test_a_history_holds_the_events_of_its_longest_wait(states, seconds, hours):
    # Two events each for wait, task and choice, and three for the function.
    loops = hours * 3600 / every_state(states)[seconds]["Seconds"]
    assert loops * 9 < 25_000


@pytest.mark.parametrize(("name", "question"), QUESTIONS.items())
def test_the_failure_of_an_item_is_looked_up_and_a_failed_look_up_changes_nothing(states, name, question):
    action, following = question
    state = states[name]
    assert state["Resource"].endswith(f":states:::aws-sdk:sfn:{action}")
    assert state["QueryLanguage"] == "JSONata"
    assert state["Next"] == following
    # List operations are eventually consistent.
    assert [retry["ErrorEquals"] for retry in state["Retry"]] == [["States.QueryEvaluationError"]]
    assert "$assert($exists($value)" in state["Output"]
    assert state["Catch"] == [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.input %}", "Next": "Notify"}]


def test_a_failed_run_notifies_and_ends_with_the_same_error_and_cause(states):
    notify = states["Notify"]
    assert notify["Resource"].endswith(":states:::sns:publish")
    assert notify["Arguments"]["TopicArn"].startswith("MonitoringAlarmsNotify")
    assert notify["Arguments"]["Subject"] == "canvas-live-state prod: a run of the reconciliation failed"
    assert len(notify["Arguments"]["Subject"]) <= 100  # Source: SNS API reference, "Publish"
    message = notify["Arguments"]["Message"]
    for part in (
        "$states.context.Execution.Name",
        "of stage prod",
        "$failure.Error",
        "errorMessage",
        "ops drift --stage prod",
    ):
        assert part in message
    # Even where the notification fails.
    assert notify["Catch"] == [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.input %}", "Next": "Failed"}]
    assert notify["Output"] == "{% $states.input %}"
    assert states["Failed"] == {"Type": "Fail", "ErrorPath": "$.failure.Error", "CausePath": "$.failure.Cause"}


def test_every_state_but_the_ends_leads_somewhere_and_every_way_out_exists(states):
    for of in (states, *(items_of(states, name) for name in ITEMS)):
        for state in of.values():
            ways = [state.get("Next"), state.get("Default")]
            ways += [way["Next"] for way in (*state.get("Choices", []), *state.get("Catch", []))]
            assert all(way in of for way in ways if way)
            assert any(ways) or state.get("End") or state["Type"] in ("Fail", "Succeed")


def test_no_function_is_called_by_two_states(states):
    resources = [state["Resource"] for state in every_state(states).values() if state["Type"] == "Task"]
    assert sorted(resources) == sorted(set(resources))
    assert {*STEPS.values(), "compare", "publish"} <= set(resources)


def test_a_run_ends_after_two_days_or_two_schedules(reconciled, changed):
    assert definition_of(reconciled.pipeline)["TimeoutSeconds"] == 48 * 3600
    assert definition_of(changed.pipeline)["TimeoutSeconds"] == 72 * 3600


def test_a_run_is_a_standard_execution_of_a_known_name_that_writes_no_log(reconciled):
    (machine,) = of_type(reconciled.pipeline, "AWS::StepFunctions::StateMachine").values()
    assert machine["StateMachineName"] == "canvas-live-state-prod-reconciliation"
    # Standard is the default. A log would need permissions on all logs, and duplicate the history.
    assert not {"StateMachineType", "LoggingConfiguration", "TracingConfiguration"} & machine.keys()


def test_a_definition_is_far_below_what_step_functions_takes(reconciled):
    # 1 MB. Source: Step Functions developer guide, "Service quotas".
    assert len(json.dumps(definition_of(reconciled.pipeline))) < 20_000


def test_on_the_emulator_waits_are_short_and_few_items_run_at_once(local):
    states = every_state(definition_of(local.pipeline)["States"])
    assert {states[name]["Seconds"] for name in ("WaitForResults", "PauseForQueues")} == {2}
    assert {states[name]["MaxConcurrency"] for name in ITEMS} == {2}
