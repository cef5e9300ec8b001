"""What the guarded write asks of DynamoDB, and what it makes of the answers that moto cannot give."""

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from functions.state.change import Change
from functions.state.table import Table, snapshot_update, timeline_update

CHANGE = Change(
    key={"account_id": "1", "sis_batch_id": 2},
    attributes={"type": "T", "current": True, "gone": None},
    event_time="2020-01-01T00:00:00.000000Z",
    rank=0,
    version_attribute="version",
    derived={"unfinished_since": None},
    timeline={"importing_at": "2020-01-01T00:00:00.000000Z"},
)


def test_the_whole_snapshot_is_written_in_one_guarded_update():
    assert snapshot_update(CHANGE) == {
        "Key": {"account_id": {"S": "1"}, "sis_batch_id": {"N": "2"}},
        "UpdateExpression": "SET #type = :type, #current = :current, #importing_at = :importing_at, "
        "#version = :version REMOVE #gone, #unfinished_since",
        "ConditionExpression": "attribute_not_exists(#version) OR #version < :version",
        "ExpressionAttributeNames": {
            "#type": "type",
            "#current": "current",
            "#gone": "gone",
            "#unfinished_since": "unfinished_since",
            "#importing_at": "importing_at",
            "#version": "version",
        },
        "ExpressionAttributeValues": {
            ":type": {"S": "T"},
            ":current": {"BOOL": True},
            ":importing_at": {"S": "2020-01-01T00:00:00.000000Z"},
            ":version": {"S": CHANGE.version},
        },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def test_the_timeline_of_a_stale_change_is_guarded_by_its_own_time():
    assert timeline_update(CHANGE) == {
        "Key": {"account_id": {"S": "1"}, "sis_batch_id": {"N": "2"}},
        "UpdateExpression": "SET #entered_at = :entered_at",
        "ConditionExpression": "attribute_not_exists(#entered_at) OR #entered_at < :entered_at",
        "ExpressionAttributeNames": {"#entered_at": "importing_at"},
        "ExpressionAttributeValues": {":entered_at": {"S": "2020-01-01T00:00:00.000000Z"}},
    }


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "InternalServerError", "AccessDenied"])
def test_every_other_refusal_is_raised(code):
    # GIVEN a DynamoDB that refuses for another reason than the condition
    client = botocore.session.get_session().create_client("dynamodb")
    with Stubber(client) as stubber:
        stubber.add_client_error("update_item", code)

        # WHEN a change is applied, THEN the refusal is neither stale nor swallowed
        with pytest.raises(ClientError, match=code):
            Table(client, "table").apply(CHANGE)


def test_a_refusal_of_the_second_write_is_raised_too():
    # GIVEN a stale change whose second write is throttled
    client = botocore.session.get_session().create_client("dynamodb")
    with Stubber(client) as stubber:
        stubber.add_client_error(
            "update_item",
            "ConditionalCheckFailedException",
            modeled_fields={"Item": {"version": {"S": "2021"}}},
        )
        stubber.add_client_error("update_item", "ThrottlingException")

        # WHEN it is applied, THEN Lambda will deliver it again
        with pytest.raises(ClientError, match="ThrottlingException"):
            Table(client, "table").apply(CHANGE)
