"""What every function starts with: its settings, log and metrics, and clients that do not wait for long."""

from importlib import import_module

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from functions import dead_letters
from functions.runtime import aws_client, count, error_name, logger, metrics, setting


def test_a_setting_is_the_environment_variable_of_its_name(monkeypatch):
    monkeypatch.setenv("ENROLLMENTS_TABLE", "enrollments-of-a-stage")
    assert setting("ENROLLMENTS_TABLE") == "enrollments-of-a-stage"


def test_a_function_without_its_settings_says_which_is_missing(monkeypatch):
    monkeypatch.delenv("ENROLLMENTS_TABLE")
    with pytest.raises(RuntimeError) as missing:
        setting("ENROLLMENTS_TABLE")
    assert str(missing.value) == "ENROLLMENTS_TABLE is not set: deploy the function with infra, which sets it"
    assert missing.value.__suppress_context__


def test_metrics_are_in_the_namespace_of_the_stage_and_the_log_names_the_project(output):
    # WHEN a function counts one thing once and another thrice, and logs
    count("Forwarded")
    count("Ignored", 3)
    metrics.flush_metrics()
    logger.error("why")

    # THEN CloudWatch gets both
    (line,), counted = output.read()
    assert counted == {"Forwarded": 1, "Ignored": 3}
    assert metrics.namespace == "CanvasLiveState/test"
    assert line["service"] == "canvas-live-state"


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ClientError({"Error": {"Code": "AccessDenied"}}, "PutEvents"), "AccessDenied"),
        (ClientError({}, "PutEvents"), "ClientError"),
        (ClientError({"Error": {}}, "PutEvents"), "ClientError"),
        (ReadTimeoutError(endpoint_url="https://sqs"), "ReadTimeoutError"),
        (KeyError("Isaac"), "KeyError"),
    ],
)
def test_an_error_is_logged_by_its_code_or_its_type(error, name):
    assert error_name(error) == name


@pytest.mark.parametrize(
    "client",
    [
        lambda: import_module("functions.handlers.relay")._events,
        lambda: import_module("functions.handlers.import_monitor")._dynamodb,
        dead_letters._sqs.__wrapped__,
    ],
    ids=["event bus", "index of imports", "dead-letter queue"],
)
def test_a_request_of_a_function_ends_after_three_attempts_of_a_second(client):
    config = client().meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 1)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}


def test_a_client_for_bulk_requests_may_be_more_patient_and_retries_alike_in_every_environment(monkeypatch):
    monkeypatch.setenv("AWS_RETRY_MODE", "legacy")
    config = aws_client("sqs", attempts=5, connect_seconds=6, read_seconds=60).meta.config
    assert (config.connect_timeout, config.read_timeout) == (6, 60)
    assert config.retries == {"mode": "standard", "total_max_attempts": 5}
