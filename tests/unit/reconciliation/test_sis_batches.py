"""Imports of Canvas beside those of the table: which are asked for, and what is read of the table."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciliation.aws import aws_client
from reconciliation.canvas_rest import ImportOnPage, Page
from reconciliation.imports import SisImportAnswer
from reconciliation.sis_batches import judge_imports, unfinished_imports
from reconciliation.verdict import Verdict
from testbed.scripted_server import json_answer

SCHOOL, OTHER_ACCOUNT = "21070000000000001", "21070000000000002"
PAGE = Page(date=datetime(2026, 11, 20, 12, tzinfo=UTC), elapsed=timedelta(seconds=2))
NOW = "2026-11-20T12:00:30.000000Z"


@pytest.fixture(scope="module", autouse=True)
def client(dynamodb_server):
    """The client of the reconciliation, before the scripted DynamoDB."""
    aws_client.cache_clear()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_server.endpoint)
        yield
    aws_client.cache_clear()


def key(number, account_id=SCHOOL):
    return {"account_id": {"S": account_id}, "sis_batch_id": {"N": str(number)}}


def stored(number, state):
    return key(number) | {"workflow_state": {"S": state}, "event_time": {"S": "2026-11-20T09:00:00.000000Z"}}


def found(number, state="imported"):
    answer = SisImportAnswer(
        sis_batch_id=number, workflow_state=state, ended_at="2026-11-20T10:00:00Z", updated_at=None
    )
    return ImportOnPage(answer=answer, page=PAGE)


def test_the_newest_of_the_unfinished_imports_of_the_school_is_asked_for_first(dynamodb):
    # GIVEN an index of two pages, with imports of another account
    dynamodb.answers = [
        json_answer(Items=[key(3), key(12), key(9, OTHER_ACCOUNT)], LastEvaluatedKey=key(9, OTHER_ACCOUNT)),
        json_answer(Items=[key(7)]),
    ]

    # THEN the numbers of its own are known, and nothing but the index is read
    assert unfinished_imports() == [12, 7, 3]
    of_the_index = {"TableName": "sis_batches", "IndexName": "unfinished"}
    assert dynamodb.requests == [of_the_index, of_the_index | {"ExclusiveStartKey": key(9, OTHER_ACCOUNT)}]


def test_each_import_is_judged_by_its_item(dynamodb):
    # GIVEN a table with two of three imports, of which one is as in Canvas
    dynamodb.answers = [json_answer(Responses={"sis_batches": [stored(1, "imported"), stored(2, "importing")]})]

    # WHEN they are judged, with one that Canvas has no longer, and one that cannot be read
    judged = [
        *judge_imports([found(1), found(2), found(3), None, ImportOnPage(answer=None, page=PAGE)], number=6, now=NOW)
    ]

    # THEN each has the verdict of its own
    assert [judgement.verdict for judgement in judged] == [
        *(Verdict.SAME, Verdict.DRIFTED, Verdict.MISSING, Verdict.GONE, Verdict.UNKNOWN)
    ]
    assert [judgement.correction and judgement.correction.event_time for judgement in judged] == [
        *(None, "2026-11-20T10:00:00.000000Z", "2026-11-20T10:00:00.000000Z", None, None)
    ]
    assert judged[1].correction
    assert judged[1].correction.root_account_id == SCHOOL

    # AND the three were read at once, and of them only what the verdict needs
    (request,) = dynamodb.requests
    of_the_table = request["RequestItems"]["sis_batches"]
    assert sorted(each["sis_batch_id"]["N"] for each in of_the_table["Keys"]) == ["1", "2", "3"]
    assert {each["account_id"]["S"] for each in of_the_table["Keys"]} == {SCHOOL}
    assert sorted(of_the_table["ExpressionAttributeNames"].values()) == ["event_time", "sis_batch_id", "workflow_state"]


def test_an_import_in_progress_has_the_time_of_the_response_and_the_number_of_the_run(dynamodb):
    dynamodb.answers = [json_answer(Responses={"sis_batches": []})]
    (judgement,) = judge_imports([found(1, "importing")], number=6, now=NOW)
    assert judgement.correction
    assert judgement.correction.event_time == "2026-11-20T11:59:53.000007Z"


def test_no_more_items_are_read_at_once_than_dynamodb_allows(dynamodb):
    dynamodb.answers = [json_answer(Responses={"sis_batches": []})]
    assert len([*judge_imports([found(number) for number in range(1, 102)], number=6, now=NOW)]) == 101
    assert [len(request["RequestItems"]["sis_batches"]["Keys"]) for request in dynamodb.requests] == [100, 1]


def test_without_readable_imports_nothing_is_read(dynamodb):
    assert len([*judge_imports([None, ImportOnPage(answer=None, page=PAGE)], number=6, now=NOW)]) == 2
    assert dynamodb.requests == []
