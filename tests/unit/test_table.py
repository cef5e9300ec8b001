"""What the guarded write asks of DynamoDB, and what it makes of answers that no engine gives on demand."""

import pytest
from pydynox import DynamoDBClient
from pydynox.exceptions import PydynoxException

from functions.projection.change import Change, Outcome
from functions.projection.table import Table, snapshot_update, timeline_update
from testbed.scripted_server import OK, error, refused

CHANGE = Change(
    key={"account_id": "1", "sis_batch_id": 2},
    attributes={"type": "T", "current": True, "gone": None},
    event_time="2020-01-01T00:00:00.000000Z",
    rank=0,
    version_attribute="state_version",
    derived={"unfinished_since": None},
    timeline={"importing_at": "2020-01-01T00:00:00.000000Z"},
)


@pytest.fixture
def apply(dynamodb):
    """Apply a change through the client that functions use; the outcome."""
    return Table(DynamoDBClient(endpoint_url=dynamodb.endpoint), "table").apply


def test_the_whole_snapshot_is_written_in_one_guarded_update(dynamodb, apply):
    # WHEN a change is applied
    assert apply(CHANGE) == Outcome.APPLIED

    # THEN DynamoDB was asked once, for all of it
    assert dynamodb.requests == [
        {
            "TableName": "table",
            "Key": {"account_id": {"S": "1"}, "sis_batch_id": {"N": "2"}},
            "UpdateExpression": "SET #0 = :0, #1 = :1, #2 = :2, #version = :version REMOVE #3, #4",
            "ConditionExpression": "attribute_not_exists(#version) OR #version < :version",
            "ExpressionAttributeNames": {
                "#0": "type",
                "#1": "current",
                "#2": "importing_at",
                "#3": "gone",
                "#4": "unfinished_since",
                "#version": "state_version",
            },
            "ExpressionAttributeValues": {
                ":0": {"S": "T"},
                ":1": {"BOOL": True},
                ":2": {"S": "2020-01-01T00:00:00.000000Z"},
                ":version": {"S": CHANGE.version},
            },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            "ReturnConsumedCapacity": "INDEXES",
        }
    ]


def test_a_change_that_clears_nothing_removes_nothing():
    change = Change(key={"id": "1"}, attributes={"a": "b"}, event_time="t", rank=0, version_attribute="version")
    assert snapshot_update(change)["update_expression"] == "SET #0 = :0, #version = :version"


def test_the_timeline_of_a_stale_change_is_guarded_by_its_own_time():
    assert timeline_update(CHANGE) == {
        "key": {"account_id": "1", "sis_batch_id": 2},
        "update_expression": "SET #entered_at = :entered_at",
        "condition_expression": "attribute_not_exists(#entered_at) OR #entered_at < :entered_at",
        "expression_attribute_names": {"#entered_at": "importing_at"},
        "expression_attribute_values": {":entered_at": "2020-01-01T00:00:00.000000Z"},
    }


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([refused(state_version=CHANGE.version)], Outcome.DUPLICATE),
        ([refused(state_version="2021"), OK], Outcome.STALE),
        ([refused(state_version="2021"), error("ConditionalCheckFailedException")], Outcome.STALE),
    ],
)
def test_a_refused_change_is_a_duplicate_or_stale_by_the_version_that_the_item_holds(dynamodb, apply, answers, outcome):
    dynamodb.answers = list(answers)
    assert apply(CHANGE) == outcome
    assert len(dynamodb.requests) == len(answers)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AccessDeniedException", "AccessDeniedException"),
        ("ExpiredTokenException", "CredentialsException"),
        ("ResourceNotFoundException", "ResourceNotFoundException"),
        ("ValidationException", "ValidationException"),
    ],
)
def test_a_failure_that_no_attempt_can_change_is_raised_after_the_first(dynamodb, apply, code, expected):
    # GIVEN a DynamoDB that refuses the request
    dynamodb.answers = [error(code)]

    # WHEN a change is applied, THEN the failure is neither stale nor swallowed
    with pytest.raises(PydynoxException) as failed:
        apply(CHANGE)
    assert type(failed.value).__name__ == expected
    assert len(dynamodb.requests) == 1


def test_a_failure_of_the_second_write_is_raised_too(dynamodb, apply):
    # GIVEN a stale change whose second write is denied
    dynamodb.answers = [refused(state_version="2021"), error("AccessDeniedException")]

    # WHEN it is applied, THEN it is no outcome: the message will be retried
    with pytest.raises(PydynoxException, match="why"):
        apply(CHANGE)


def test_a_refusal_without_the_item_is_no_outcome(dynamodb, apply):
    dynamodb.answers = [error("ConditionalCheckFailedException")]
    with pytest.raises(AttributeError):
        apply(CHANGE)
