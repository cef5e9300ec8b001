"""The worst case of an invocation ends within the function's timeout: nothing is cut off, all failures are reported."""

import time

import pytest

from functions import dead_letters
from functions.runtime import ATTEMPTS, CONNECT_SECONDS, READ_SECONDS
from infra.settings import settings_of
from tests.canvas import event_batch, example, retried
from tests.context import FunctionContext
from tests.ordering.engines import load_handlers
from tests.scripted import NO_ANSWER, refused, scripted_server

# At most 1 and 2 seconds: both clients wait a random part of 1 s x 2^n after attempt n, counted from 0, for throttling,
# and of no more for other errors. Source: AWS SDKs and Tools reference guide, "Retry behavior", standard mode.
CALL_SECONDS = ATTEMPTS * (CONNECT_SECONDS + READ_SECONDS) + sum(2**attempt for attempt in range(ATTEMPTS - 1))
"""A service could ask for longer pauses with `x-amz-retry-after`. Neither DynamoDB nor SQS documents that it does."""

LOADING_CPU_SECONDS = 0.466
"""What importing botocore and making its SQS client took, in a function that had neither."""

MEMORY_OF_ONE_CPU_MIB = 1769
"""Source: Lambda developer guide, "Configure Lambda function memory"."""


def worst_case_seconds(memory_mib):
    """A stale import event, which is written twice, beside a message that is dead-lettered."""
    return 3 * CALL_SECONDS + LOADING_CPU_SECONDS * MEMORY_OF_ONE_CPU_MIB / memory_mib


@pytest.mark.parametrize("stage", ["prod", "dev"])
def test_two_writes_and_a_dead_letter_at_their_worst_end_within_the_timeout(stage):
    settings = settings_of(stage)
    assert worst_case_seconds(settings.memory_mib) <= settings.function_timeout_seconds


@pytest.mark.slow
def test_an_invocation_without_answers_ends_within_the_worst_case(monkeypatch, request):
    # GIVEN a DynamoDB that answers only the last attempt of the first write, and an SQS that never answers
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
        batch = event_batch(stale, invalid, event_name="sis_batch_updated")
        started = time.monotonic()
        failed = retried(handler(batch, FunctionContext()))
        seconds = time.monotonic() - started

    # THEN both are retried, after every attempt of all three calls, and in time
    assert failed == ["message-0", "message-1"]
    assert (len(dynamodb.requests), len(sqs.requests)) == (2 * ATTEMPTS, ATTEMPTS)
    assert seconds <= worst_case_seconds(MEMORY_OF_ONE_CPU_MIB)
