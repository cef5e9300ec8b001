"""The hourly functions: the check of unfinished imports, and the monitor of runs."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.stub import Stubber

from functions.runtime import setting
from reconciliation.aws import aws_client
from reconciliation.failure import TemporaryFailure
from reconciliation.handlers import run_monitor, unfinished_imports
from testbed.canvas.faults import Fault
from tests.reconciliation.machine import Context


def recorded(output):
    """Values of the only record of metrics."""
    (record,) = [json.loads(line) for line in output.lines() if '"_aws"' in line]
    return {name: value for name, value in record.items() if name != "_aws"}


# Unfinished imports.


@pytest.fixture
def importing(cloud, canvas, school):
    """Three running imports, stored in the table."""
    begun = [school.create_import() for _ in range(3)]
    for number in begun:
        school.start_import(number)
    cloud.deliver([event for event in school.take_events() if "sis_batch" in event["metadata"]["event_name"]])
    school.now += timedelta(minutes=10)
    return begun


def items(cloud):
    return {item["sis_batch_id"]: item for item in cloud.tables.items("sis_batches")}


def test_an_import_that_was_aborted_ends_within_the_hour(cloud, school, importing, output):
    # GIVEN an import that was aborted, one that Canvas has removed, and one that runs
    school.abort_import(importing[0])
    school.purge_import(importing[1])
    output.lines()

    # WHEN unfinished imports are checked
    unfinished_imports.handler({}, Context())

    # THEN the first is corrected, and the others are unchanged
    assert recorded(output)["Corrected"][0] >= 1
    cloud.apply()
    states = {number: items(cloud)[number]["workflow_state"] for number in importing}
    assert states == {importing[0]: "aborted", importing[1]: "importing", importing[2]: "importing"}

    # AND the next check corrects nothing
    output.lines()
    unfinished_imports.handler({}, Context())
    assert recorded(output) == {"family": "import", "Corrected": [0.0]}
    assert cloud.published() == []


def test_imports_for_which_no_time_is_left_are_checked_in_the_next_hour(cloud, canvas, school, importing, output):
    school.abort_all_pending()
    unfinished_imports.handler({}, Context(60_000))
    assert [request for request in canvas.requests if request.is_rest] == []
    assert recorded(output) == {"family": "import", "Corrected": [0.0]}


def test_an_outage_of_canvas_is_reported(cloud, canvas, importing, output):
    canvas.faults.switch_on(Fault("server error", times=None))
    with pytest.raises(TemporaryFailure, match="Canvas does not answer"):
        unfinished_imports.handler({}, Context())


# Runs.


@pytest.fixture
def step_functions(aws):
    with Stubber(aws_client("stepfunctions")) as stubber:
        yield stubber


def execution(name, hours_ago):
    started = datetime.now(UTC) - timedelta(hours=hours_ago)
    arn = f"arn:aws:states:us-east-1:123456789012:execution:machine:{name}"
    return {
        "executionArn": arn,
        "stateMachineArn": setting("STATE_MACHINE_ARN"),
        "name": name,
        "status": "SUCCEEDED",
        "startDate": started,
        "stopDate": started,
    }


def hours(output):
    return recorded(output)["HoursSinceRun"][0]


def test_the_age_of_the_newest_run_that_succeeded_is_recorded(step_functions, output):
    # GIVEN two dry runs and older runs on two pages
    asked = {"stateMachineArn": setting("STATE_MACHINE_ARN"), "statusFilter": "SUCCEEDED"}
    pages = [
        {"executions": [execution("dry-run-2", 1), execution("dry-run-1", 2)], "nextToken": "next"},
        {"executions": [execution("reconcile-1", 5.5), execution("backfill-1", 30)]},
    ]
    step_functions.add_response("list_executions", pages[0], asked)
    step_functions.add_response("list_executions", pages[1], asked | {"nextToken": "next"})
    run_monitor.handler({}, Context())
    assert hours(output) == pytest.approx(5.5, abs=0.01)


def test_before_the_first_run_the_age_is_that_of_the_deployment(step_functions, output):
    created = {
        "stateMachineArn": setting("STATE_MACHINE_ARN"),
        "name": "machine",
        "definition": "{}",
        "roleArn": "arn:aws:iam::123456789012:role/x",
        "type": "STANDARD",
        "creationDate": datetime.now(UTC) - timedelta(hours=60),
    }
    step_functions.add_response("list_executions", {"executions": [execution("dry-run-1", 1)]})
    step_functions.add_response("describe_state_machine", created)
    run_monitor.handler({}, Context())
    assert hours(output) == pytest.approx(60, abs=0.01)


def test_a_monitor_that_cannot_ask_fails(step_functions, output):
    step_functions.add_client_error("list_executions", "AccessDeniedException", "hunter2")
    with pytest.raises(TemporaryFailure, match="run_monitor: AccessDeniedException"):
        run_monitor.handler({}, Context())
