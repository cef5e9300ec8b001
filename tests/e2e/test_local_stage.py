"""End-to-end tests from the ingestion queue to the tables, on an emulator that enforces IAM."""

import io
import json
import re
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from ops import story
from testbed.events import EVENT_NAMES, example
from tests.local_stage import eventually

pytestmark = pytest.mark.slow


def test_the_documented_examples_reach_the_tables(local_stage, examples):
    for enrollment_id in ("21070000000000143", "21070000000001533"):
        assert local_stage.enrollment(enrollment_id)["state"] == "pending_invited"
    assert local_stage.sis_batch(31048324)["workflow_state"] == "initializing"
    assert local_stage.sis_batch(1440004)["workflow_state"] == "created"


def test_a_shuffled_history_ends_with_its_last_state(local_stage, examples):
    # GIVEN the history of one enrollment, shuffled and half duplicated, and of one import, backwards
    history = story.enrollment_history()

    # WHEN it is delivered
    local_stage.send(*map(json.dumps, [*history.deliveries, *story.import_history()[::-1]]))

    # THEN the tables have the last state
    def ended():
        item = local_stage.enrollment(story.ENROLLMENT_ID)
        return (item.get("workflow_state"), item.get("state")) == ("completed", "completed")

    eventually(ended)
    timeline = {f"{state}_at" for state in story.IMPORT_STATES}
    eventually(lambda: timeline <= local_stage.sis_batch(story.SIS_BATCH_ID).keys())
    assert "imported" in local_stage.ops("show", "imports", story.ACCOUNT_ID)
    assert "Ada Lovelace" in local_stage.ops("show", "course", story.COURSE_ID)
    assert story.COURSE_ID in local_stage.ops("show", "user", story.USER_ID)
    assert "completed" in local_stage.ops("show", "enrollment", story.ENROLLMENT_ID)


def test_an_invalid_event_is_dead_lettered_once_with_its_reason(local_stage, examples):
    # GIVEN an import without a root account, with secrets and personal data in its metadata
    event = story.invalid_event()
    event["body"]["sis_batch_id"] = "1440099"
    private = {"url": "https://school.example/?access_token=hunter2", "user_login": "ada", "client_ip": "192.0.2.1"}

    # WHEN it is delivered, and all queues are empty
    local_stage.send(json.dumps({**event, "metadata": event["metadata"] | private}))
    eventually(lambda: dead_letters(local_stage, "SisBatchUpdated", "1440099"))
    eventually(local_stage.is_idle)

    # THEN one dead-lettered message has the reason, and the event without that data
    (message,) = dead_letters(local_stage, "SisBatchUpdated", "1440099")
    assert attributes(message) == {
        "error": "RejectedEvent",
        "reason": "sis_batch_updated: metadata.root_account_id is missing, "
        "so the import cannot be attributed to a school",
    }
    assert json.loads(message["Body"])["detail"] == event


def test_an_unreadable_message_is_dead_lettered_as_it_came(local_stage):
    # WHEN a message that is not JSON is delivered
    local_stage.send("this is not JSON")

    # THEN the relay dead-letters it with the reason
    (message,) = eventually(lambda: dead_letters(local_stage, "Ingestion", "this is not JSON"))
    assert message["Body"] == "this is not JSON"
    assert attributes(message) == {"error": "UnreadableMessage", "reason": "the message is not JSON"}


def dead_letters(stage, construct, text):
    """Messages with `text` in a dead-letter queue."""
    return [message for message in stage.messages(f"{construct}DeadLetters") if text in message["Body"]]


def attributes(message):
    return {name: attribute["StringValue"] for name, attribute in message["MessageAttributes"].items()}


@pytest.fixture
def impatient(local_stage):
    """Dead-letter messages of the queue of `sis_batch_created` after two receives, seconds apart."""
    sqs, url = local_stage.client("sqs"), local_stage.queues["SisBatchCreatedQueue"]
    names = ["RedrivePolicy", "VisibilityTimeout"]
    deployed = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    policy = json.loads(deployed["RedrivePolicy"]) | {"maxReceiveCount": 2}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy), "VisibilityTimeout": "4"})
    yield
    sqs.set_queue_attributes(QueueUrl=url, Attributes=deployed)


def test_an_event_whose_retries_are_exhausted_is_dead_lettered_and_redriven(local_stage, impatient):
    # GIVEN a function that may not write
    with local_stage.updates_denied("sis_batch_created"):
        # WHEN the receives of an event are exhausted
        local_stage.send(json.dumps(example("sis_batch_created", body={"sis_batch_id": "1440098"})))

        # THEN SQS moves it to the dead-letter queue
        (message,) = eventually(lambda: dead_letters(local_stage, "SisBatchCreated", "1440098"))
        assert message["Attributes"]["DeadLetterQueueSourceArn"].endswith(
            local_stage.queues["SisBatchCreatedQueue"].rsplit("/", 1)[-1]
        )

    # WHEN the function may write again, and the operator redrives the message
    printed = local_stage.ops("redrive", "--queue", "SisBatchCreatedDeadLetters")

    # THEN its item is stored
    assert "RetriesExhausted" in printed
    assert "Sent back: 1" in printed
    eventually(lambda: local_stage.sis_batch(1440098))


PROBE = """
import botocore.session

def handler(event, context):
    session = botocore.session.get_session()
    answers = {}
    for name, (service, operation, arguments) in event.items():
        client = session.create_client(service)
        try:
            getattr(client, operation)(**arguments)
            answers[name] = "allowed"
        except client.exceptions.ClientError as error:
            answers[name] = error.response["Error"]["Code"]
    return answers
"""


@pytest.fixture
def probe(local_stage):
    """Invokes AWS requests with the role of the function of `enrollment_created`, and returns the answers."""
    lambda_ = local_stage.client("lambda")
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("probe.py", PROBE)
    lambda_.create_function(
        FunctionName="probe",
        Runtime="python3.13",
        Role=local_stage.function("enrollment_created")["Role"],
        Handler="probe.handler",
        Code={"ZipFile": package.getvalue()},
        Timeout=30,
    )

    def answers(**requests):
        answer = lambda_.invoke(FunctionName="probe", Payload=json.dumps(requests))
        return json.loads(answer["Payload"].read())

    yield answers
    lambda_.delete_function(FunctionName="probe")


def test_a_function_may_write_its_table_and_its_dead_letter_queue_and_nothing_else(local_stage, probe):
    # GIVEN the resources of the function of enrollment_created, and those of other functions
    key = {"enrollment_id": {"S": "1"}}
    table = {"TableName": local_stage["ENROLLMENTS_TABLE"]}
    other_table = {
        "TableName": local_stage["SIS_BATCHES_TABLE"],
        "Key": {"account_id": {"S": "1"}, "sis_batch_id": {"N": "1"}},
    }

    def message_to(queue):
        return {"QueueUrl": local_stage.queues[queue], "MessageBody": "probe"}

    # WHEN its role sends the requests of the function, THEN they are allowed
    allowed = probe(
        update=("dynamodb", "update_item", {**table, "Key": key}),
        dead_letter=("sqs", "send_message", message_to("EnrollmentCreatedDeadLetters")),
    )
    assert set(allowed.values()) == {"allowed"}
    local_stage.client("dynamodb").delete_item(**table, Key=key)
    remove_probe(local_stage, "EnrollmentCreatedDeadLetters")

    # WHEN it sends any other request, THEN it is denied
    denied = probe(
        read=("dynamodb", "get_item", {**table, "Key": key}),
        query=(
            "dynamodb",
            "query",
            {
                **table,
                "KeyConditionExpression": "enrollment_id = :id",
                "ExpressionAttributeValues": {":id": {"S": "1"}},
            },
        ),
        scan=("dynamodb", "scan", table),
        put=("dynamodb", "put_item", {**table, "Item": key}),
        delete=("dynamodb", "delete_item", {**table, "Key": key}),
        delete_table=("dynamodb", "delete_table", table),
        update_other=("dynamodb", "update_item", other_table),
        read_other=("dynamodb", "get_item", other_table),
        to_its_own_queue=("sqs", "send_message", message_to("EnrollmentCreatedQueue")),
        to_another_dead_letter_queue=("sqs", "send_message", message_to("EnrollmentUpdatedDeadLetters")),
        to_the_ingestion_queue=("sqs", "send_message", message_to("IngestionQueue")),
        publish=("events", "put_events", {"Entries": [{"EventBusName": local_stage["EVENT_BUS"], "Detail": "{}"}]}),
    )
    assert {code.removesuffix("Exception") for code in denied.values()} == {"AccessDenied"}, denied


def remove_probe(stage, queue):
    (message,) = (message for message in stage.messages(queue) if message["Body"] == "probe")
    stage.client("sqs").delete_message(QueueUrl=stage.queues[queue], ReceiptHandle=message["ReceiptHandle"])


def test_deploying_again_to_the_running_emulator_keeps_the_state(local_stage, examples):
    # GIVEN a running stage with an item
    before = local_stage.enrollment("21070000000046825")

    # WHEN it is deployed again
    assert local_stage["AWS_ENDPOINT_URL"] in local_stage.ops("up")

    # THEN the item is unchanged, and events are still processed
    assert local_stage.enrollment("21070000000046825") == before
    local_stage.send(json.dumps(example("sis_batch_created", body={"sis_batch_id": "77"})))
    eventually(lambda: local_stage.sis_batch(77))


def test_a_replay_restores_what_was_lost_and_changes_nothing_else(local_stage, examples):
    # GIVEN tables with the examples and a history, which lose one item
    local_stage.send(*map(json.dumps, [*story.enrollment_history().events, *story.import_history()]))
    eventually(local_stage.is_idle)
    before = local_stage.items()
    assert local_stage.enrollment(story.ENROLLMENT_ID)
    local_stage.table("ENROLLMENTS_TABLE").delete_item(Key={"enrollment_id": story.ENROLLMENT_ID})

    # WHEN the operator replays the last hour
    now = datetime.now(UTC)
    printed = local_stage.ops(
        "replay",
        *("--from", (now - timedelta(hours=1)).isoformat()),
        *("--to", (now + timedelta(minutes=1)).isoformat()),
    )

    # THEN all attributes of all items are as before
    assert "is completed" in printed
    eventually(local_stage.is_idle)
    assert local_stage.items() == before


def test_the_deployment_is_verified_and_nothing_is_left_of_it(local_stage):
    # GIVEN dead-lettered messages of other tests
    eventually(local_stage.is_idle)
    before = local_stage.dead_letters()

    # WHEN an operator verifies the stage, with a second round and a test of the alarms
    printed = local_stage.ops("verify", "--again-after", "1s", "--alarms", "--root-account-id", "21070000000000001")

    # THEN every check passes for each function
    assert "FAILED" not in printed
    for name in EVENT_NAMES:
        assert re.search(rf"delivery: {name} +│ OK", printed)
        assert re.search(rf"after the pause: {name} +│ OK", printed)

    # THEN the reserved items are deleted and imported, and no message was added to the dead-letter queues
    for enrollment_id in ("21079999999999999", "21079999999999998"):
        item = local_stage.enrollment(enrollment_id)
        assert (item["workflow_state"], item["state"]) == ("deleted", "deleted")
    assert "unfinished_since" not in local_stage.sis_batch(9999999999999, account_id="21079999999999999")
    assert local_stage.dead_letters() == before


def test_a_function_that_may_not_write_fails_the_verification(local_stage):
    # GIVEN a function without permission to write
    with local_stage.updates_denied("sis_batch_created"):
        # WHEN an operator verifies the stage
        printed = local_stage.ops("verify", "--timeout", "8s", status=1)

    # THEN only this function fails a check
    assert re.findall(r"delivery: (\w+) +│ FAILED", printed) == ["sis_batch_created"]
    eventually(local_stage.is_idle)


def test_an_import_without_an_end_is_closed(local_stage):
    # GIVEN an import that was created, and has no further events
    local_stage.send(json.dumps(example("sis_batch_created", body={"sis_batch_id": "1440097"})))
    eventually(lambda: local_stage.sis_batch(1440097))

    # WHEN the operator closes it
    printed = local_stage.ops("close-import", "21070000000000001", "1440097", "--as", "aborted")

    # THEN it is aborted and no longer unfinished, and its timeline has both states
    assert re.search(r"1440097 +│ aborted", printed)
    item = local_stage.sis_batch(1440097)
    assert item["aborted_at"] > item["initializing_at"]
    assert "unfinished_since" not in item
