"""Dead letters: read as AWS writes them, sent back whole, never lost, and given up only on request."""

import io
import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from rich.console import Console

from ops.dead_letters import dead_letter_queues, summary_table
from ops.failure import OperatorError
from ops.redrive import Selection, export, redrive
from ops.stage import Stage
from tests.canvas import example, on_the_bus

BUS = "canvas-live-events-test"
FUNCTION_LETTERS = "EnrollmentCreatedFunctionDeadLetters"
RULE_LETTERS = "EnrollmentCreatedRuleDeadLetters"
FRONT_DOOR_LETTERS = "FrontDoorDeadLetters"
REJECTION = "enrollment_created: body is missing. See docs/operations.md#rejected-events."


class StageWithoutStacks(Stage):
    """A stage whose queues were made by the test: moto's CloudFormation does not know all our resources."""

    def resources(self, part, resource_type):
        assert (part, resource_type) == ("processing", "AWS::SQS::Queue")
        urls = boto3.client("sqs").list_queues()["QueueUrls"]
        return {url.rsplit("/", 1)[1]: url for url in urls}


@pytest.fixture
def stage(aws):
    sqs = boto3.client("sqs")
    for name in (FUNCTION_LETTERS, RULE_LETTERS, FRONT_DOOR_LETTERS):
        # CloudFormation's logical ids end in eight characters of hash.
        sqs.create_queue(QueueName=f"{name}0123ABCD")
    front_door = sqs.create_queue(QueueName="FrontDoorQueue0123ABCD")["QueueUrl"]
    bus = boto3.client("events")
    bus.create_event_bus(Name=BUS)
    bus.put_rule(Name="all", EventBusName=BUS, EventPattern=json.dumps({"source": ["canvas"]}))
    arrived = sqs.create_queue(QueueName="arrived")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=arrived, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus.put_targets(Rule="all", EventBusName=BUS, Targets=[{"Id": "queue", "Arn": arn}])
    return StageWithoutStacks("test", {"EventBus": BUS, "FrontDoorQueueUrl": front_door})


def url(name):
    return boto3.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]


def give_up(name, body, **attributes):
    """Put a message into the dead-letter queue `name`, as AWS does."""
    boto3.client("sqs").send_message(
        QueueUrl=url(f"{name}0123ABCD"),
        MessageBody=body if isinstance(body, str) else json.dumps(body),
        MessageAttributes={key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()},
    )


def lying_in(name):
    """The bodies of the messages that can be received from queue `name`."""
    messages = boto3.client("sqs").receive_message(QueueUrl=url(name), MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [message["Body"] for message in messages.get("Messages", [])]


def select(stage, *, only=None):
    return Selection(stage, dead_letter_queues(stage), only=only)


def letters(stage):
    with select(stage) as selection:
        return [letter for batch in selection.batches() for letter in batch]


EVENT = on_the_bus(example("enrollment_created"))


@pytest.mark.parametrize(
    ("queue", "attributes", "error"),
    [
        (FUNCTION_LETTERS, {"ErrorCode": "200", "ErrorMessage": REJECTION}, "RejectedEvent"),
        (
            FUNCTION_LETTERS,
            {"ErrorMessage": "ValidationException: DynamoDB did not take a write to table"},
            "ValidationException",
        ),
        (FUNCTION_LETTERS, {"ErrorMessage": "2026 Task timed out after 20.00 seconds"}, "Timeout"),
        (FUNCTION_LETTERS, {"ErrorMessage": "something else"}, "Unknown"),
        (FUNCTION_LETTERS, {}, "Unknown"),
        (RULE_LETTERS, {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "x"}, "NO_PERMISSIONS"),
    ],
)
def test_a_letter_says_where_it_failed_and_how(stage, queue, attributes, error):
    # GIVEN an event that was given up
    give_up(queue, EVENT, **attributes)

    # WHEN it is read, THEN its queue, its kind of error and its event are known
    (letter,) = letters(stage)
    assert (letter.queue.name, letter.error, letter.event) == (queue, error, EVENT)


def test_a_letter_of_the_emulator_says_the_same(stage):
    give_up(FUNCTION_LETTERS, {"requestPayload": EVENT, "responsePayload": {"errorMessage": REJECTION}})
    (letter,) = letters(stage)
    assert (letter.error, letter.event) == ("RejectedEvent", EVENT)


def test_looking_takes_nothing_away(stage):
    give_up(FUNCTION_LETTERS, EVENT)
    assert len(letters(stage)) == 1
    assert len(letters(stage)) == 1


def test_an_event_goes_back_to_the_bus_as_it_was(stage):
    # GIVEN twelve events that a function gave up, more than one batch
    for _ in range(12):
        give_up(FUNCTION_LETTERS, EVENT)

    # WHEN they are redriven
    with select(stage) as selection:
        sent = list(redrive(stage, selection, events_per_second=1000))

    # THEN all came over the bus as they were, and the queue is empty
    assert len(sent) == 12
    assert letters(stage) == []
    (first, *_) = map(json.loads, lying_in("arrived"))
    assert {part: first[part] for part in ("source", "detail-type", "detail")} == {
        part: EVENT[part] for part in ("source", "detail-type", "detail")
    }


def test_a_front_door_message_goes_back_to_the_front_door(stage):
    give_up(FRONT_DOOR_LETTERS, "not even JSON")
    with select(stage) as selection:
        assert len(list(redrive(stage, selection, events_per_second=1000))) == 1
    assert lying_in("FrontDoorQueue0123ABCD") == ["not even JSON"]
    assert letters(stage) == []


def test_only_one_kind_of_error_is_sent_and_the_rest_stays(stage):
    # GIVEN a rejected and a throttled event
    give_up(FUNCTION_LETTERS, EVENT, ErrorMessage=REJECTION)
    give_up(FUNCTION_LETTERS, EVENT, ErrorMessage="ValidationException: DynamoDB did not take a write to table")

    # WHEN the throttled ones are redriven
    with select(stage, only="ValidationException") as selection:
        sent = list(redrive(stage, selection, events_per_second=1000))

    # THEN the rejected one still lies there, in sight
    assert [letter.error for letter in sent] == ["ValidationException"]
    assert [letter.error for letter in letters(stage)] == ["RejectedEvent"]


def test_what_the_bus_refuses_stays_in_its_queue(stage, monkeypatch):
    # GIVEN a bus that refuses; moto's takes everything
    class RefusingBus:
        def put_events(self, *, Entries):  # noqa: N803 - botocore's name
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"} for _ in Entries]}

    give_up(FUNCTION_LETTERS, EVENT)
    real = stage.client
    monkeypatch.setattr(
        StageWithoutStacks, "client", lambda _, service: RefusingBus() if service == "events" else real(service)
    )

    # WHEN an event is redriven, THEN the operator is told, and the letter can be received again
    with pytest.raises(OperatorError, match=r"refused an event \(InternalFailure\)"), select(stage) as selection:
        list(redrive(stage, selection, events_per_second=1000))
    assert len(letters(stage)) == 1


def test_an_interrupted_redrive_loses_nothing(stage):
    # GIVEN three letters
    for _ in range(3):
        give_up(FUNCTION_LETTERS, EVENT)

    # WHEN the operator presses Ctrl-C after the first
    with select(stage) as selection:
        next(redrive(stage, selection, events_per_second=1000))

    # THEN the others lie in their queue, in sight
    assert len(letters(stage)) == 2


def test_what_can_never_succeed_is_exported_and_discarded_on_request_only(stage, tmp_path):
    # GIVEN a rejected event and an unreadable message
    give_up(FUNCTION_LETTERS, EVENT, ErrorMessage=REJECTION)
    give_up(FRONT_DOOR_LETTERS, "not even JSON")

    # WHEN they are exported
    file = tmp_path / "letters.ndjson"
    with select(stage) as selection:
        exported = list(export(selection, file, discard=False))

    # THEN the file has what Canvas sent, for its owner's eyes, and the queues still have it, too
    assert [json.loads(line) for line in file.read_text().splitlines()] == [EVENT["detail"], "not even JSON"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(exported) == len(letters(stage)) == 2

    # WHEN they are discarded, THEN they are gone
    with select(stage, only="RejectedEvent") as selection:
        list(export(selection, tmp_path / "again.ndjson", discard=True))
    assert [letter.queue.name for letter in letters(stage)] == [FRONT_DOOR_LETTERS]


def test_an_export_never_overwrites_a_file(stage, tmp_path):
    file = tmp_path / "letters.ndjson"
    file.write_text("precious")
    give_up(FUNCTION_LETTERS, EVENT)
    with pytest.raises(OperatorError, match="exists already"), select(stage) as selection:
        list(export(selection, file, discard=True))
    assert file.read_text() == "precious"
    assert len(letters(stage)) == 1


def test_the_summary_groups_by_queue_and_error_with_ages(stage):
    # GIVEN three letters of two kinds
    for _ in range(2):
        give_up(FUNCTION_LETTERS, EVENT, ErrorMessage=REJECTION)
    give_up(RULE_LETTERS, EVENT, ERROR_CODE="NO_PERMISSIONS")

    # WHEN they are summed up a day and two hours later
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(summary_table(letters(stage), now=datetime.now(UTC) + timedelta(days=1, hours=2)))

    # THEN there is a line for each kind
    lines = [line.split("│")[1:-1] for line in console.export_text().splitlines() if "DeadLetters" in line]
    assert [[cell.strip() for cell in line] for line in lines] == [
        [FUNCTION_LETTERS, "RejectedEvent", "2", "1 d 2 h", "1 d 2 h"],
        [RULE_LETTERS, "NO_PERMISSIONS", "1", "1 d 2 h", "1 d 2 h"],
    ]
