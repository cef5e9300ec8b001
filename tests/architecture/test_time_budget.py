"""The worst case of an invocation ends within the timeout of the function, so that all failures are reported."""

import time

import pytest

from functions import batch, dead_letters
from functions.runtime import ATTEMPTS, CONNECT_SECONDS, READ_SECONDS
from infra.settings import FUNCTION_TIMEOUT_SECONDS, Settings
from testbed.events import event_batch, example, retried
from testbed.functions import load_handlers
from testbed.lambda_context import FunctionContext
from testbed.scripted_server import NO_ANSWER, STALLED, refused, scripted_server

# Waits are at most 1 and 2 seconds: after attempt n, from 0, both clients wait a random part of 1 s x 2^n if throttled,
# and less for other errors. Source: AWS SDKs and Tools reference guide, "Retry behavior", standard mode.
CALL_SECONDS = ATTEMPTS * (CONNECT_SECONDS + READ_SECONDS) + sum(2**attempt for attempt in range(ATTEMPTS - 1))
"""`x-amz-retry-after` can extend the waits. Neither DynamoDB nor SQS documents that it sends this header."""

LOADING_CPU_SECONDS = 0.466
"""Measured time to import botocore and create its SQS client."""

MEMORY_OF_ONE_CPU_MIB = 1769
"""Source: Lambda developer guide, "Configure Lambda function memory"."""


def worst_case_seconds(memory_mib):
    """Longest duration of a batch with a stale import event, which needs two writes, and a dead-lettered message."""
    return batch._WRITE_SECONDS + CALL_SECONDS + LOADING_CPU_SECONDS * MEMORY_OF_ONE_CPU_MIB / memory_mib


def test_the_worst_case_of_two_writes_and_dead_lettering_is_within_the_timeout():
    # GIVEN two writes with all attempts, and the minimum memory of a stage, which has the least CPU
    assert 2 * CALL_SECONDS <= batch._WRITE_SECONDS
    (least,) = (bound.ge for bound in Settings.model_fields["memory_mib"].metadata if hasattr(bound, "ge"))
    assert worst_case_seconds(least) <= FUNCTION_TIMEOUT_SECONDS


@pytest.mark.slow
def test_an_invocation_without_answers_ends_within_the_worst_case(monkeypatch, request):
    # GIVEN a DynamoDB that answers the last attempt of the first write only, and an SQS that never answers
    with scripted_server() as dynamodb, scripted_server() as sqs:
        silence = [NO_ANSWER] * (ATTEMPTS - 1)
        dynamodb.answers = [*silence, refused(version="9999"), NO_ANSWER]
        sqs.answers = [NO_ANSWER]
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", sqs.endpoint)
        dead_letters._sqs.cache_clear()
        request.addfinalizer(dead_letters._sqs.cache_clear)
        handler = load_handlers(dynamodb.endpoint)["sis_batch_updated"]

        # WHEN a stale event and an invalid one are delivered in one batch
        stale, invalid = example("sis_batch_updated"), example("sis_batch_updated", body={"account_id": None})
        messages = event_batch(stale, invalid, event_name="sis_batch_updated")
        started = time.monotonic()
        failed = retried(handler(messages, FunctionContext()))
        seconds = time.monotonic() - started

    # THEN both are retried in time, after all attempts of all three calls
    assert failed == ["message-0", "message-1"]
    assert (len(dynamodb.requests), len(sqs.requests)) == (2 * ATTEMPTS, ATTEMPTS)
    assert seconds <= worst_case_seconds(MEMORY_OF_ONE_CPU_MIB)


def test_a_write_whose_answer_stalls_is_ended_and_retried(monkeypatch):
    # GIVEN a DynamoDB whose answers begin, which stops the read timeout of the client, and never end
    with scripted_server() as dynamodb:
        dynamodb.answers = [STALLED]
        handler = load_handlers(dynamodb.endpoint)["enrollment_created"]
        monkeypatch.setitem(handler_globals(handler), "_WRITE_SECONDS", 0.2)

        # WHEN an event is delivered, THEN it is retried at the time limit of a write
        messages = event_batch(example("enrollment_created"), event_name="enrollment_created")
        assert retried(handler(messages, FunctionContext())) == ["message-0"]


def handler_globals(handler):
    """Globals of the module of `handler`, below the decorator of Powertools."""
    return handler.__wrapped__.__globals__
