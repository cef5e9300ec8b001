"""Reads items by key, and retries throttled requests and unprocessed keys."""

import pytest
from botocore.exceptions import ClientError

from reconciliation import items as module
from reconciliation.comparison import ITEM_ATTRIBUTES
from reconciliation.failure import TemporaryFailure
from reconciliation.items import Item, item_count, read_items
from testbed.events import example
from testbed.tables import Tables


@pytest.fixture
def tables(aws, prod):
    return Tables(prod.data)


def keys(*numbers):
    return [{"enrollment_id": str(number)} for number in numbers]


def put(tables, **item):
    tables.client.put_item(TableName="enrollments", Item=item)


def test_items_have_the_requested_attributes(tables, deliver):
    # GIVEN an enrollment with both families: strings, booleans and reserved words as names
    enrollment_id = example("enrollment_created")["body"]["enrollment_id"]
    deliver(example("enrollment_created"))
    deliver(example("enrollment_state_created", body={"enrollment_id": enrollment_id}))
    (stored,) = tables.items("enrollments")

    # WHEN it is read for a comparison, THEN it has the compared attributes with their stored values
    for table, attributes in ITEM_ATTRIBUTES.items():
        (item,) = read_items("enrollments", keys(enrollment_id, 1), attributes)
        assert item == {name: stored[name] for name in attributes if name in stored}, table


def test_numbers_are_numbers_also_as_keys(tables, deliver):
    deliver(example("sis_batch_updated"))
    keys: list[Item] = [{"account_id": "21070000000000001", "sis_batch_id": 1440004}]
    (item,) = read_items("sis_batches", keys, ("sis_batch_id", "workflow_state"))
    assert item == {"sis_batch_id": 1440004, "workflow_state": "created"}


def test_an_attribute_of_another_type_is_a_fault(tables):
    put(tables, enrollment_id={"S": "1"}, state={"L": []})
    with pytest.raises(AssertionError, match="L"):
        list(read_items("enrollments", keys(1), ("state",)))


def test_items_are_counted(tables):
    assert item_count("enrollments") == 0
    put(tables, enrollment_id={"S": "1"})
    assert item_count("enrollments") == 1


def refusal(code):
    """DynamoDB error that fails a whole request."""
    return ClientError({"Error": {"Code": code, "Message": "refused"}}, "BatchGetItem")


class Throttled:
    """Test double of DynamoDB with scripted answers: the number of processed keys, or an error."""

    def __init__(self, *processed):
        self.processed, self.requests = list(processed), []

    def batch_get_item(self, *, RequestItems):  # noqa: N803 - botocore's name
        ((table, request),) = RequestItems.items()
        self.requests.append([key["enrollment_id"]["S"] for key in request["Keys"]])
        count = self.processed.pop(0) if self.processed else 0
        if isinstance(count, ClientError):
            raise count
        done, left = request["Keys"][:count], request["Keys"][count:]
        return {
            "Responses": {table: done} if done else {},
            "UnprocessedKeys": {table: request | {"Keys": left}} if left else {},
        }


@pytest.fixture
def throttled(monkeypatch):
    def throttle(*processed):
        client = Throttled(*processed)
        monkeypatch.setattr(module, "aws_client", lambda _: client)
        return client

    return throttle


def test_unprocessed_keys_are_requested_again(throttled, waits):
    # GIVEN a throttled table that processes some keys at a time
    client = throttled(1, 0, 0, 2)

    # WHEN three are read, THEN all are returned, and waits are longer where no key was processed
    found = list(read_items("enrollments", keys(1, 2, 3), ("enrollment_id",)))
    assert [item["enrollment_id"] for item in found] == ["1", "2", "3"]
    assert client.requests == [["1", "2", "3"], ["2", "3"], ["2", "3"], ["2", "3"]]
    assert len(waits) == 3
    assert all(0 <= wait <= limit for wait, limit in zip(waits, (0.05, 0.1, 0.2), strict=True))


def test_a_request_that_is_throttled_as_a_whole_is_repeated(throttled, waits):
    client = throttled(refusal("ProvisionedThroughputExceededException"), refusal("ThrottlingException"), 1)

    assert len(list(read_items("enrollments", keys(1), ("enrollment_id",)))) == 1
    assert client.requests == [["1"]] * 3
    assert len(waits) == 2


def test_a_request_that_is_refused_for_another_reason_is_not_repeated(throttled, waits):
    client = throttled(refusal("AccessDeniedException"), 1)

    with pytest.raises(ClientError, match="AccessDenied"):
        list(read_items("enrollments", keys(1), ("enrollment_id",)))
    assert len(client.requests) == 1


def test_a_table_that_processes_no_key_is_left_to_be_repeated(throttled, waits):
    client = throttled()
    with pytest.raises(TemporaryFailure, match="DynamoDB does not read table enrollments: it is throttled"):
        list(read_items("enrollments", keys(1), ("enrollment_id",)))
    assert len(client.requests) == 10
    assert max(waits) <= 10
