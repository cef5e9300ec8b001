"""The whole way, from the front door to the tables, on an emulator with IAM enforced."""

import io
import json
import time
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from ops import story
from tests.canvas import EVENT_NAMES, example
from tests.local_stage import eventually, import_key, send

pytestmark = pytest.mark.slow


def queues(stage, part):
    found = stage.client("cloudformation").describe_stack_resources(StackName="canvas-live-state-local-processing")
    return [
        resource["PhysicalResourceId"]
        for resource in found["StackResources"]
        if resource["ResourceType"] == "AWS::SQS::Queue" and part in resource["LogicalResourceId"]
    ]


def receive(stage, queue):
    return stage.client("sqs").receive_message(QueueUrl=queue, VisibilityTimeout=0).get("Messages", [])


def test_the_documented_examples_reach_the_tables(local_stage, examples):
    for enrollment_id in ("21070000000000143", "21070000000001533"):
        item = local_stage.item("ENROLLMENTS_TABLE", enrollment_id={"S": enrollment_id})
        assert item["state"] == {"S": "pending_invited"}
    for sis_batch_id, state in (("31048324", "initializing"), ("1440004", "created")):
        item = local_stage.item("SIS_BATCHES_TABLE", **import_key(sis_batch_id))
        assert item["workflow_state"] == {"S": state}


def test_a_history_told_badly_ends_as_it_was(local_stage, examples):
    # GIVEN one enrollment's life, shuffled and half duplicated, and one import's, backwards
    history = story.enrollment_history()

    # WHEN they come through the front door
    send(local_stage, *map(json.dumps, [*history.deliveries, *story.import_history()[::-1]]))

    # THEN the tables say what happened last
    key = {"enrollment_id": {"S": story.ENROLLMENT_ID}}

    def ended():
        item = local_stage.item("ENROLLMENTS_TABLE", **key) or {}
        return (item.get("workflow_state"), item.get("state")) == ({"S": "completed"}, {"S": "completed"})

    eventually(ended)
    eventually(
        lambda: (
            {"imported_at", "importing_at", "created_at", "initializing_at"}
            <= (
                local_stage.item("SIS_BATCHES_TABLE", account_id={"S": story.ACCOUNT_ID}, sis_batch_id={"N": "1440005"})
                or {}
            ).keys()
        )
    )
    assert "imported" in local_stage.ops("show", "imports", story.ACCOUNT_ID)
    assert "Ada Lovelace" in local_stage.ops("show", "course", story.COURSE_ID)
    assert "21070000000000565" in local_stage.ops("show", "user", story.USER_ID)
    assert "completed" in local_stage.ops("show", "enrollment", story.ENROLLMENT_ID)


def test_an_invalid_event_ends_in_the_dead_letter_queue_of_its_function(local_stage, examples):
    # WHEN a SIS event that names no school, but an access token, is sent
    event = story.invalid_event()
    event["metadata"]["url"] = "https://school.example/api?access_token=hunter2"
    send(local_stage, json.dumps(event))

    # THEN after three attempts it is in the function's queue, whole but for the token
    (queue,) = queues(local_stage, "SisBatchUpdatedFunctionDeadLetters")
    (letter,) = eventually(lambda: receive(local_stage, queue))
    assert "metadata.root_account_id is missing" in letter["Body"]
    assert "sis_batch_id" in letter["Body"]
    assert "hunter2" not in letter["Body"]


def test_what_the_relay_cannot_read_ends_in_the_dead_letter_queue_of_the_front_door(local_stage, unreadable):
    (queue,) = queues(local_stage, "FrontDoorDeadLetters")
    (letter,) = eventually(lambda: receive(local_stage, queue))
    assert letter["Body"] == "this is not JSON"


PROBE = """
import json, os, botocore.session

def handler(event, context):
    client = botocore.session.get_session().create_client("dynamodb")
    said = {}
    for name, (operation, arguments) in event.items():
        try:
            getattr(client, operation)(**arguments)
            said[name] = "allowed"
        except client.exceptions.ClientError as error:
            said[name] = error.response["Error"]["Code"]
    return said
"""


def test_a_function_cannot_read_delete_or_touch_the_other_table(local_stage, examples):
    # GIVEN a function that has the role of a real one, and asks for everything
    lambda_ = local_stage.client("lambda")
    (role,) = (
        function["Role"]
        for function in lambda_.list_functions()["Functions"]
        if function["Handler"] == "functions.handlers.enrollment_created.handler"
    )
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("probe.py", PROBE)
    lambda_.create_function(
        FunctionName="probe",
        Runtime="python3.13",
        Role=role,
        Handler="probe.handler",
        Code={"ZipFile": package.getvalue()},
        Timeout=30,
    )

    # WHEN it asks
    own = {"TableName": local_stage["ENROLLMENTS_TABLE"], "Key": {"enrollment_id": {"S": "1"}}}
    other = {
        "TableName": local_stage["SIS_BATCHES_TABLE"],
        "Key": {"account_id": {"S": "1"}, "sis_batch_id": {"N": "1"}},
    }
    asked = {
        "update its own": ("update_item", own),
        "read its own": ("get_item", own),
        "scan its own": ("scan", {"TableName": own["TableName"]}),
        "delete from its own": ("delete_item", own),
        "delete its own": ("delete_table", {"TableName": own["TableName"]}),
        "update the other": ("update_item", other),
        "read the other": ("get_item", other),
    }
    answer = lambda_.invoke(FunctionName="probe", Payload=json.dumps(asked))
    said = json.loads(answer["Payload"].read())

    # THEN it may do its work, and nothing else
    local_stage.client("dynamodb").delete_item(**own)
    lambda_.delete_function(FunctionName="probe")
    assert said.pop("update its own") == "allowed"
    assert set(said.values()) == {"AccessDeniedException"}
    assert len(said) == 6


def test_deploying_again_to_the_running_emulator_keeps_the_state(local_stage, examples):
    # GIVEN a running stage with an item
    key = {"enrollment_id": {"S": "21070000000046825"}}
    before = eventually(lambda: local_stage.item("ENROLLMENTS_TABLE", **key))

    # WHEN it is deployed again
    endpoint = local_stage["AWS_ENDPOINT_URL"]
    assert endpoint in local_stage.ops("up")

    # THEN the item is there, and events still arrive
    assert local_stage.item("ENROLLMENTS_TABLE", **key)["enrollment_id"] == before["enrollment_id"]
    send(local_stage, json.dumps(example("sis_batch_created", body={"sis_batch_id": "77"})))
    eventually(
        lambda: local_stage.item("SIS_BATCHES_TABLE", account_id={"S": "21070000000000001"}, sis_batch_id={"N": "77"})
    )


def invocations(stage):
    """How many invocations of our functions have ended, as the emulator's own metrics count them."""
    cloudwatch = stage.client("cloudwatch")
    now = datetime.now(UTC)
    return sum(
        point["Sum"]
        for function in stage.client("lambda").list_functions()["Functions"]
        for point in cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Invocations",
            Dimensions=[{"Name": "FunctionName", "Value": function["FunctionName"]}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
    )


def contents(stage):
    """Every item of both tables."""
    dynamodb = stage.client("dynamodb")
    return {
        table: sorted(map(repr, dynamodb.scan(TableName=stage[table])["Items"]))
        for table in ("ENROLLMENTS_TABLE", "SIS_BATCHES_TABLE")
    }


def settled(stage):
    """The number of ended invocations, once it no longer changes."""
    counts = [-1]

    def unchanged():
        counts.append(invocations(stage))
        time.sleep(3)  # longer than any pause between the attempts at an event
        return counts[-1] == counts[-2]

    eventually(unchanged)
    return counts[-1]


def test_a_replay_of_the_whole_history_changes_not_one_item(local_stage, examples):
    # GIVEN tables that hold the examples and a history
    history = story.enrollment_history()
    send(local_stage, *map(json.dumps, [*history.events, *story.import_history()]))
    before_replay = settled(local_stage)
    before = contents(local_stage)
    assert story.ENROLLMENT_ID in str(before)

    # WHEN the operator replays the last hour
    now = datetime.now(UTC)
    printed = local_stage.ops(
        "replay",
        *("--from", (now - timedelta(hours=1)).isoformat()),
        *("--to", (now + timedelta(minutes=1)).isoformat()),
    )

    # THEN every event passed its function again, and the tables are the same to the last attribute
    assert "is completed" in printed
    assert settled(local_stage) >= before_replay + len(EVENT_NAMES) + len(history.events)
    assert contents(local_stage) == before
