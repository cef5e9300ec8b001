"""What the guarded write asks of DynamoDB, and what it makes of answers that no engine gives on demand."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydynox.pydynox_core import DynamoDBClient

from functions.runtime import ATTEMPTS
from functions.state.change import Change, Outcome
from functions.state.table import Table, WriteFailed, snapshot_update, timeline_update

CHANGE = Change(
    key={"account_id": "1", "sis_batch_id": 2},
    attributes={"type": "T", "current": True, "gone": None},
    event_time="2020-01-01T00:00:00.000000Z",
    rank=0,
    version_attribute="state_version",
    derived={"unfinished_since": None},
    timeline={"importing_at": "2020-01-01T00:00:00.000000Z"},
)


class ScriptedDynamoDB(ThreadingHTTPServer):
    """Answers each request with the next of `answers`, and the last one for ever. Decides nothing."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ScriptedAnswer)
        self.answers = []
        self.requests = []

    @property
    def table(self):
        """A table behind the client that functions use."""
        endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        return Table(DynamoDBClient(endpoint_url=endpoint, read_timeout=0.2, max_retries=ATTEMPTS), "table")


class ScriptedAnswer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        server = self.server
        server.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        if answer is None:
            threading.Event().wait(1)  # longer than the client's patience
            return
        status, text = answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        """Say nothing on standard error."""


def error(code, status=400, **more):
    return status, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "why", **more})


def refused(**item):
    return error("ConditionalCheckFailedException", Item={name: {"S": value} for name, value in item.items()})


APPLIED = (200, "{}")


@pytest.fixture
def dynamodb():
    """A DynamoDB that answers as the test says."""
    with ScriptedDynamoDB() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_the_whole_snapshot_is_written_in_one_guarded_update(dynamodb):
    # WHEN a change is applied
    dynamodb.answers = [APPLIED]
    assert dynamodb.table.apply(CHANGE) == Outcome.APPLIED

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


def test_a_refused_change_is_a_duplicate_or_stale_by_the_version_that_the_item_holds(dynamodb):
    dynamodb.answers = [refused(state_version=CHANGE.version), refused(state_version="2021"), APPLIED]
    table = dynamodb.table
    assert [table.apply(CHANGE), table.apply(CHANGE)] == [Outcome.DUPLICATE, Outcome.STALE]


@pytest.mark.parametrize(
    ("answer", "expected", "attempts"),
    [
        (error("ProvisionedThroughputExceededException"), "ProvisionedThroughputExceededException", ATTEMPTS),
        (error("ThrottlingException"), "ProvisionedThroughputExceededException", ATTEMPTS),
        (error("InternalServerError", 500), "PydynoxException", ATTEMPTS),
        (error("ServiceUnavailable", 503), "PydynoxException", ATTEMPTS),
        (None, "ConnectionException", ATTEMPTS),
        (error("AccessDeniedException"), "AccessDeniedException", 1),
        (error("ExpiredTokenException"), "CredentialsException", 1),
        (error("ResourceNotFoundException"), "ResourceNotFoundException", 1),
        (error("ValidationException"), "ValidationException", 1),
    ],
)
def test_every_other_refusal_is_raised_and_tried_again_where_that_may_help(dynamodb, answer, expected, attempts):
    # GIVEN a DynamoDB that refuses for another reason than the condition
    dynamodb.answers = [answer]

    # WHEN a change is applied, THEN the refusal is neither stale nor swallowed
    with pytest.raises(WriteFailed, match=f"^{expected}: DynamoDB did not take a write to table"):
        dynamodb.table.apply(CHANGE)
    assert len(dynamodb.requests) == attempts


def test_a_refusal_of_the_second_write_is_raised_too(dynamodb):
    # GIVEN a stale change whose second write is refused
    dynamodb.answers = [refused(state_version="2021"), error("AccessDeniedException")]

    # WHEN it is applied, THEN Lambda will deliver it again
    with pytest.raises(WriteFailed, match="AccessDeniedException"):
        dynamodb.table.apply(CHANGE)


def test_an_item_that_was_refused_but_not_told_is_no_outcome(dynamodb):
    dynamodb.answers = [error("ConditionalCheckFailedException")]
    with pytest.raises(AttributeError):
        dynamodb.table.apply(CHANGE)


@pytest.mark.parametrize("status", [200, 400, 502])
def test_an_answer_that_cannot_be_read_is_not_repeated_to_the_log(dynamodb, status):
    dynamodb.answers = [(status, '{"Attributes": {"user_name": {"S": "Isaac Newton"}}, ')]
    with pytest.raises(WriteFailed) as raised:
        dynamodb.table.apply(CHANGE)
    assert "Isaac" not in str(raised.value)
