"""Tables: keys, indexes, streams, retention, and the parameters for readers."""

import pytest

from testbed.stacks import PROD, synthesise
from tests.infra.templates import of_type


@pytest.fixture(scope="module")
def tables(prod):
    resources = prod.data["Resources"]
    return {
        logical_id: resource
        for logical_id, resource in resources.items()
        if resource["Type"].startswith("AWS::DynamoDB")
    }


def test_the_keys_are_the_documented_ones(tables):
    keys = {
        logical_id: [(key["AttributeName"], key["KeyType"]) for key in table["Properties"]["KeySchema"]]
        for logical_id, table in tables.items()
    }
    assert keys == {
        "Enrollments4D8328BC": [("enrollment_id", "HASH")],
        "SisBatchesF3162930": [("account_id", "HASH"), ("sis_batch_id", "RANGE")],
    }
    types = {
        definition["AttributeName"]: definition["AttributeType"]
        for table in tables.values()
        for definition in table["Properties"]["AttributeDefinitions"]
    }
    assert types == {
        "enrollment_id": "S",
        "course_id": "S",
        "user_id": "S",
        "account_id": "S",
        "sis_batch_id": "N",
        "unfinished_since": "S",
    }


def test_an_index_holds_a_roster_and_nothing_that_changes_with_every_event(tables):
    indexes = {
        index["IndexName"]: index for index in tables["Enrollments4D8328BC"]["Properties"]["GlobalSecondaryIndexes"]
    }
    assert {name: [key["AttributeName"] for key in index["KeySchema"]] for name, index in indexes.items()} == {
        "by_course": ["course_id", "user_id"],
        "by_user": ["user_id", "course_id"],
    }
    for index in indexes.values():
        assert index["Projection"]["ProjectionType"] == "INCLUDE"
        assert sorted(index["Projection"]["NonKeyAttributes"]) == [
            "course_section_id",
            "restricted_access",
            "state",
            "type",
            "user_name",
            "workflow_state",
        ]


def test_the_index_of_unfinished_imports_holds_keys_only(tables):
    (index,) = tables["SisBatchesF3162930"]["Properties"]["GlobalSecondaryIndexes"]
    assert index == {
        "IndexName": "unfinished",
        "KeySchema": [{"AttributeName": "unfinished_since", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def test_changes_can_be_followed_and_undone(tables):
    for table in tables.values():
        assert table["Properties"]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
        (replica,) = table["Properties"]["Replicas"]
        assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_tables_are_encrypted_with_dynamodbs_own_key(tables):
    # DynamoDB encrypts every table. `SSEEnabled` selects a key of KMS, which is charged per request.
    for table in tables.values():
        assert table["Properties"]["SSESpecification"] == {"SSEEnabled": False}


@pytest.mark.parametrize("keeps", [False, True])
def test_a_table_is_protected_where_the_stage_keeps_its_data(keeps):
    stage = synthesise(PROD.model_copy(update={"keeps_data": keeps}))
    for resource in of_type(stage.data, "AWS::DynamoDB::GlobalTable").values():
        (replica,) = resource["Replicas"]
        assert replica["DeletionProtectionEnabled"] is keeps


def test_a_table_and_its_roster_indexes_have_the_warm_throughput_of_the_stage():
    warm = synthesise(PROD.model_copy(update={"warm_write_units": 8000}))
    (enrollments,) = (
        table
        for table in of_type(warm.data, "AWS::DynamoDB::GlobalTable").values()
        if len(table["GlobalSecondaryIndexes"]) == 2
    )
    for part in (enrollments, *enrollments["GlobalSecondaryIndexes"]):
        assert part["WarmThroughput"] == {"WriteUnitsPerSecond": 8000}


NAMES = {
    "EnrollmentsTable": "enrollments-table",
    "EnrollmentsTableArn": "enrollments-table-arn",
    "EnrollmentsStreamArn": "enrollments-stream-arn",
    "SisBatchesTable": "sis-batches-table",
    "SisBatchesTableArn": "sis-batches-table-arn",
    "SisBatchesStreamArn": "sis-batches-stream-arn",
    "ReadersPolicyArn": "readers-policy-arn",
}


def test_readers_find_names_arns_and_a_policy_in_outputs_and_parameters(prod):
    # GIVEN the outputs of the data stack and the parameters of the stage
    outputs = {name: output["Value"] for name, output in prod.data["Outputs"].items() if not name.startswith("Exports")}
    parameters = {
        parameter["Name"]: parameter["Value"] for parameter in of_type(prod.data, "AWS::SSM::Parameter").values()
    }

    # THEN both have the same values
    assert outputs.keys() == NAMES.keys()
    assert parameters == {f"/canvas-live-state/prod/{name}": outputs[output] for output, name in NAMES.items()}


def test_operators_find_bus_queue_and_topics(prod):
    assert {parameter["Name"] for parameter in of_type(prod.pipeline, "AWS::SSM::Parameter").values()} == {
        "/canvas-live-state/prod/operators-policy-arn",
        "/canvas-live-state/prod/event-bus",
        "/canvas-live-state/prod/ingestion-queue-url",
    }
    assert set(prod.pipeline["Outputs"]) == {
        "EventBus",
        "IngestionQueueUrl",
        "OperatorsPolicyArn",
        "PageTopicArn",
        "NotifyTopicArn",
    }
