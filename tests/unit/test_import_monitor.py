"""The import monitor: counts the imports that do not end, and each that became stuck once."""

from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest

from functions.canvas.fields import format_timestamp
from functions.runtime import aws_client
from testbed.lambda_context import FunctionContext
from testbed.scripted_server import json_answer

# The schedule's time; an import is stuck after 12 hours (testbed/environment.py).
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def client(dynamodb_server):
    """The client of the monitor, before the scripted DynamoDB."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_server.endpoint)
        return aws_client("dynamodb")


@pytest.fixture
def monitor(client, dynamodb, output, monkeypatch):
    """Run the monitor at the schedule's time on imports whose last event was so long before noon; log and metrics."""
    module = import_module("functions.handlers.import_monitor")
    monkeypatch.setattr(module, "_dynamodb", client)

    def monitor(*ago, at=NOW):
        dynamodb.answers = [json_answer(Items=[an_import(*each) for each in enumerate(ago, start=1)])]
        module.handler({"time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}, FunctionContext())
        return output.read()

    return monitor


def an_import(number, ago):
    """The item of an import."""
    return {
        "account_id": {"S": "21070000000000001"},
        "sis_batch_id": {"N": str(number)},
        "unfinished_since": {"S": format_timestamp(NOW - ago)},
    }


def hours(number):
    return timedelta(hours=number)


def test_all_imports_of_the_index_are_counted_whatever_the_pages(monitor, dynamodb, output):
    # GIVEN an index of two pages
    last = {"account_id": {"S": "21070000000000001"}, "sis_batch_id": {"N": "1"}}
    monitor()
    dynamodb.requests.clear()
    dynamodb.answers = [
        json_answer(Items=[an_import(1, hours(1))], LastEvaluatedKey=last),
        json_answer(Items=[an_import(2, hours(1))]),
    ]

    # WHEN the monitor runs, THEN it reads both, and of the index only
    import_module("functions.handlers.import_monitor").handler({"time": NOW.isoformat()}, FunctionContext())
    assert output.metrics() == {"ImportsUnfinished": 2, "ImportsStuck": 0}
    of_the_index = {"TableName": "sis_batches", "IndexName": "unfinished"}
    assert dynamodb.requests == [of_the_index, of_the_index | {"ExclusiveStartKey": last}]


def test_an_import_is_counted_as_stuck_in_one_hour_only(monitor):
    # GIVEN an import whose last event was twelve and a half hours ago
    ago = hours(12.5)

    # WHEN the monitor runs in each of four hours, THEN it is stuck in one
    stuck = [monitor(ago, at=NOW + hours(hour))[1]["ImportsStuck"] for hour in range(-1, 3)]
    assert stuck == [0, 1, 0, 0]


def test_the_hours_leave_no_gap_and_do_not_overlap(monitor):
    # GIVEN imports that are stuck at the very edges of the hour before now
    edges = (hours(12), hours(13), hours(13) - timedelta(microseconds=1), hours(12) + timedelta(minutes=1))

    # THEN each belongs to one run
    assert monitor(*edges)[1] == {"ImportsUnfinished": 4, "ImportsStuck": 3}
    assert monitor(*edges, at=NOW - hours(1))[1]["ImportsStuck"] == 1


def test_the_log_names_what_became_stuck_and_since_when(monitor):
    # GIVEN two imports that became stuck, and one that did so long ago
    (line,), _ = monitor(hours(12.5), hours(30), hours(12))

    # THEN one line names the two
    assert (line["level"], line["message"]) == ("WARNING", "Imports are stuck")
    assert line["imports"] == {
        "21070000000000001/1": "2026-10-31T23:30:00+00:00",
        "21070000000000001/3": "2026-11-01T00:00:00+00:00",
    }


def test_without_stuck_imports_nothing_is_logged(monitor):
    assert monitor() == ([], {"ImportsUnfinished": 0, "ImportsStuck": 0})
