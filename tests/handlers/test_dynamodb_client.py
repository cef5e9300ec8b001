"""The client of the guarded write retries failed requests as the SDK does."""

import pytest
from pydynox import DynamoDBClient
from pydynox.exceptions import PydynoxException

from functions.projection.change import Change
from functions.projection.table import Table
from functions.runtime import ATTEMPTS
from testbed.scripted_server import NO_ANSWER, error, scripted_server

CHANGE = Change(key={"id": "1"}, attributes={"a": "b"}, event_time="2020", rank=0, version_attribute="version")


@pytest.fixture
def dynamodb():
    """DynamoDB with scripted answers."""
    with scripted_server() as server:
        yield server


@pytest.fixture
def apply(dynamodb):
    """Apply a change with the client of the functions, and return the outcome."""
    client = DynamoDBClient(endpoint_url=dynamodb.endpoint, read_timeout=0.2, max_retries=ATTEMPTS)
    return Table(client, "table").apply


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (error("ProvisionedThroughputExceededException"), "ProvisionedThroughputExceededException"),
        (error("ThrottlingException"), "ProvisionedThroughputExceededException"),
        (error("InternalServerError", 500), "PydynoxException"),
        (error("ServiceUnavailable", 503), "PydynoxException"),
        (NO_ANSWER, "ConnectionException"),
    ],
)
def test_a_failure_that_may_pass_is_tried_again_and_raised_after_the_last_attempt(dynamodb, apply, answer, expected):
    # GIVEN a DynamoDB that fails
    dynamodb.answers = [answer]

    # WHEN a change is applied, THEN the failure is raised, and not reported as stale
    with pytest.raises(PydynoxException) as failed:
        apply(CHANGE)
    assert type(failed.value).__name__ == expected
    assert len(dynamodb.requests) == ATTEMPTS


@pytest.mark.parametrize("status", [200, 400, 502])
def test_an_answer_that_is_not_json_is_a_failure(dynamodb, apply, status):
    dynamodb.answers = [(status, '{"Attributes": {"user_name": {"S": "Isaac Newton"}}, ')]
    with pytest.raises(PydynoxException):
        apply(CHANGE)
