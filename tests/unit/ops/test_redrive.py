"""Dead-lettered messages: read as three senders write them, sent back whole, never lost, discarded only on request."""

import io
import json
from datetime import timedelta
from itertools import chain

import pytest
from rich.console import Console

from functions.canvas.envelope import read_message
from functions.canvas.rejection import UnreadableMessage
from ops.dead_letters import DeadLetterBatch, dead_letter_queues, summary_table
from ops.failure import OperatorError
from ops.redrive import export, redrive, selection
from testbed.events import example, on_the_bus
from tests.unit.ops.sqs import StubbedSqs
from tests.unit.ops.stages import made_up_stage

EVENT = json.dumps(on_the_bus(example("enrollment_created"), "enrollment_created"))
NAMES = ("EnrollmentCreated", "SisBatchUpdated", "Ingestion")
EVENTS, OTHERS, INGESTION = (f"{name}DeadLetters" for name in NAMES)
READABLE = json.dumps(example("enrollment_created"))
REASON = "enrollment_created: body is missing"


QUEUES = {f"{name}{kind}": f"{name}{kind}" for name in NAMES for kind in ("Queue", "DeadLetters")}


def stubbed_stage(**sqs):
    """A stage of three queues and their dead-letter queues, behind one stubbed SQS."""
    stage = made_up_stage(clients={"sqs": StubbedSqs(**sqs)})
    vars(stage).update(queues=QUEUES, sqs=stage.client("sqs"))
    return stage


@pytest.fixture
def stage():
    return stubbed_stage()


def batch_of(stage):
    return DeadLetterBatch(stage, dead_letter_queues(stage))


def found(stage):
    """Everything in the dead-letter queues, as a dry run shows it."""
    with batch_of(stage) as batch:
        return list(chain.from_iterable(batch.receive()))


def send_back(stage, only=None):
    with batch_of(stage) as batch:
        return list(redrive(stage, batch, selection(only), messages_per_second=100_000))


@pytest.mark.parametrize(
    ("queue", "body", "attributes", "error", "reason"),
    [
        (EVENTS, EVENT, {"error": "RejectedEvent", "reason": REASON}, "RejectedEvent", REASON),
        (EVENTS, EVENT, {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "denied"}, "NO_PERMISSIONS", "denied"),
        (EVENTS, EVENT, {"moved": True}, "RetriesExhausted", "the log of its function names the errors"),
        (INGESTION, "{", {"error": "UnreadableMessage", "reason": "is not JSON"}, "UnreadableMessage", "is not JSON"),
        (INGESTION, READABLE, {"moved": True}, "RetriesExhausted", "the log of its function names the errors"),
        (INGESTION, "{", {"moved": True}, "RetriesExhausted", "the message is not JSON"),
        (INGESTION, "[" * 100_000, {"moved": True}, "RetriesExhausted", "the message is nested too deeply to be read"),
        (
            INGESTION,
            '{"metadata": {"user_login": "hunter2"}}',
            {"moved": True},
            "RetriesExhausted",
            "metadata.event_name is missing or not printable ASCII",
        ),
        (EVENTS, "not JSON", {"moved": True}, "Malformed", "message id-1 is no enrollment_created event"),
        (EVENTS, "[" * 100_000, {"moved": True}, "Malformed", "message id-1 is no enrollment_created event"),
        (OTHERS, EVENT, {"moved": True}, "Malformed", "message id-1 is no sis_batch_updated event"),
        (EVENTS, EVENT, {}, "Malformed", "message id-1 was not sent by this project"),
    ],
)
def test_a_message_says_who_dead_lettered_it_and_why(stage, queue, body, attributes, error, reason):
    stage.sqs.put(queue, body, **attributes)
    (letter,) = found(stage)
    assert (letter.queue.name, letter.error, letter.reason, letter.body) == (queue, error, reason, body)


@pytest.mark.parametrize(
    "body",
    [
        READABLE,
        "{",
        "NaN",
        "[1]",
        "{}",
        "[" * 100_000,
        '{"metadata": {}}',
        '{"sensor": 1, "dataVersion": 1, "data": []}',
    ],
)
def test_a_message_is_unreadable_for_the_reason_that_the_relay_would_give(stage, body):
    # GIVEN what the relay says of a message
    try:
        read_message(body)
        expected = "the log of its function names the errors"
    except UnreadableMessage as error:
        expected = str(error)
    except RecursionError:
        expected = "the message is nested too deeply to be read"

    # WHEN SQS has dead-lettered it, THEN an operator is told the same
    stage.sqs.put(INGESTION, body, moved=True)
    assert [letter.reason for letter in found(stage)] == [expected]


@pytest.mark.parametrize("seed", range(5))
def test_everything_is_found_however_sqs_answers(seed):
    # GIVEN a queue of 37 messages, whose servers answer some polls with nothing
    stage = stubbed_stage(seed=seed, late=2)
    for _ in range(37):
        stage.sqs.put(EVENTS, EVENT, moved=True)

    # WHEN they are read, twice, THEN all are found each time: reading takes nothing away
    assert len(found(stage)) == 37
    assert len(found(stage)) == 37


def test_an_empty_queue_is_asked_several_times_before_nothing_is_said(stage):
    assert found(stage) == []
    assert stage.sqs.requests.count("receive") >= 3 * len(NAMES)


def test_messages_that_sqs_counts_but_never_delivers_are_said_to_be_there(stage):
    stage.sqs.put(EVENTS, EVENT, moved=True)
    stage.sqs.late = 1000
    with batch_of(stage) as batch:
        assert list(batch.receive()) == []
    assert batch.undelivered == {EVENTS: 1}


def test_an_event_goes_back_to_its_queue_and_an_ingestion_message_to_the_ingestion_queue(stage):
    # GIVEN twelve events, more than one batch, and a message that was never on the bus
    for _ in range(12):
        stage.sqs.put(EVENTS, EVENT, moved=True)
    stage.sqs.put(INGESTION, "{}", moved=True)

    # WHEN they are redriven
    assert len(send_back(stage)) == 13

    # THEN each is where it failed, as it was, without attributes (the stub refuses those), in few requests
    assert stage.sqs.bodies("EnrollmentCreatedQueue") == [EVENT] * 12
    assert stage.sqs.bodies("IngestionQueue") == ["{}"]
    assert stage.sqs.requests.count("send") == stage.sqs.requests.count("delete") == 3
    assert found(stage) == []


def test_large_messages_are_sent_in_as_many_requests_as_they_need(stage):
    for _ in range(4):
        stage.sqs.put(INGESTION, "x" * 500_000, moved=True)
    assert len(send_back(stage)) == 4
    assert stage.sqs.requests.count("send") == 2


def test_what_was_rejected_or_is_malformed_is_sent_only_when_it_is_named(stage):
    # GIVEN one message of each kind
    stage.sqs.put(EVENTS, EVENT, error="RejectedEvent", reason=REASON)
    stage.sqs.put(EVENTS, "not an event", moved=True)
    stage.sqs.put(EVENTS, EVENT, moved=True)

    # WHEN everything is redriven, THEN only what may succeed is sent, and nothing stands in its way
    assert [letter.error for letter in send_back(stage)] == ["RetriesExhausted"]
    assert sorted(letter.error for letter in found(stage)) == ["Malformed", "RejectedEvent"]

    # WHEN the rejected one is named, THEN it is sent
    assert [letter.error for letter in send_back(stage, only="RejectedEvent")] == ["RejectedEvent"]


def test_a_redrive_ends_at_what_was_dead_lettered_after_it_began(stage):
    # GIVEN an event that fails again as soon as it is sent back
    stage.sqs.put(EVENTS, EVENT, moved=True)
    with batch_of(stage) as batch:
        sent = []
        for letter in redrive(stage, batch, selection(None), messages_per_second=100_000):
            sent.append(letter)
            stage.sqs.now += timedelta(seconds=5)
            stage.sqs.put(EVENTS, EVENT, ago=0, error="RejectedEvent", reason=REASON)

    # THEN it was sent once, and what it became is seen and left alone
    assert len(sent) == 1
    assert [letter.error for letter in batch.left.values() if batch.is_newer(letter)] == ["RejectedEvent"]
    assert stage.sqs.bodies(EVENTS) == [EVENT]


def test_a_queue_that_refuses_keeps_the_message_where_it_is(stage):
    stage.sqs.put(EVENTS, EVENT, moved=True)
    stage.sqs.refused = {"EnrollmentCreatedQueue"}
    with pytest.raises(OperatorError, match=r"1 messages of EnrollmentCreatedDeadLetters .* \(InternalError\)"):
        send_back(stage)
    assert stage.sqs.bodies(EVENTS) == [EVENT]


def test_an_interrupted_redrive_loses_nothing(stage):
    # GIVEN messages of two queues
    stage.sqs.put(EVENTS, EVENT, moved=True)
    stage.sqs.put(INGESTION, "{}", moved=True)

    # WHEN the operator presses Ctrl-C after the first
    with batch_of(stage) as batch:
        next(redrive(stage, batch, selection(None), messages_per_second=100_000))

    # THEN the other is in its queue, visible
    assert stage.sqs.bodies(INGESTION) == ["{}"]


def test_a_receipt_that_has_expired_is_no_error(stage):
    # GIVEN a message that somebody else receives while we hold it for too long
    stage.sqs.put(EVENTS, EVENT, moved=True)
    with batch_of(stage) as batch:
        (letters,) = batch.receive()
        stage.sqs.now += timedelta(hours=1)
        stage.sqs.receive_message(QueueUrl=EVENTS, MaxNumberOfMessages=1, WaitTimeSeconds=1, VisibilityTimeout=60)

        # WHEN we delete it, THEN nothing is raised: it is delivered again, which changes nothing
        batch.remove(letters)
    assert len(stage.sqs.queues[EVENTS]) == 1


def test_what_can_never_succeed_is_exported_and_discarded_on_request_only(stage, tmp_path):
    # GIVEN a rejected event, an unreadable message and a malformed one
    stage.sqs.put(EVENTS, EVENT, error="RejectedEvent", reason=REASON)
    stage.sqs.put(INGESTION, "not even JSON", error="UnreadableMessage", reason="is not JSON")
    stage.sqs.put(EVENTS, "[1]", moved=True)

    # WHEN they are exported
    file = tmp_path / "letters.ndjson"
    with batch_of(stage) as batch:
        exported = list(export(batch, lambda _: True, file, discard=False))

    # THEN the file has what Canvas sent, for its owner's eyes, and the queues still have it, too
    written = [json.loads(line) for line in file.read_text().splitlines()]
    assert written == [json.loads(EVENT)["detail"], [1], "not even JSON"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(exported) == len(found(stage)) == 3

    # WHEN one kind is discarded, THEN it is gone, and only it
    with batch_of(stage) as batch:
        list(export(batch, selection("RejectedEvent"), tmp_path / "again.ndjson", discard=True))
    assert sorted(letter.error for letter in found(stage)) == ["Malformed", "UnreadableMessage"]


def test_nothing_is_discarded_that_was_not_written(stage, tmp_path, monkeypatch):
    # GIVEN a disk that is full
    def full(_):
        raise OSError

    stage.sqs.put(EVENTS, EVENT, moved=True)
    monkeypatch.setattr("ops.redrive.os.fsync", full)

    # WHEN a message is exported, THEN it stays in its queue
    with pytest.raises(OSError), batch_of(stage) as batch:  # noqa: PT011
        list(export(batch, selection(None), tmp_path / "letters.ndjson", discard=True))
    assert stage.sqs.bodies(EVENTS) == [EVENT]


def test_a_file_that_cannot_be_written_is_said_before_anything_is_received(stage, tmp_path):
    stage.sqs.put(EVENTS, EVENT, moved=True)
    with (
        pytest.raises(OperatorError, match=r"cannot be written \(No such file or directory\)"),
        batch_of(stage) as batch,
    ):
        list(export(batch, selection(None), tmp_path / "missing" / "letters.ndjson", discard=True))
    assert stage.sqs.bodies(EVENTS) == [EVENT]


def test_an_export_never_overwrites_a_file(stage, tmp_path):
    file = tmp_path / "letters.ndjson"
    file.write_text("precious")
    stage.sqs.put(EVENTS, EVENT, moved=True)
    with pytest.raises(OperatorError, match="exists already"), batch_of(stage) as batch:
        list(export(batch, selection(None), file, discard=True))
    assert file.read_text() == "precious"
    assert len(found(stage)) == 1


def test_the_summary_groups_by_queue_error_and_reason_with_ages(stage):
    # GIVEN three messages of two kinds
    for ago in (3600, 26 * 3600):
        stage.sqs.put(EVENTS, EVENT, ago=ago, error="RejectedEvent", reason=REASON)
    stage.sqs.put(OTHERS, EVENT.replace("enrollment_created", "sis_batch_updated"), moved=True)

    # WHEN they are summed up, THEN there is a line for each kind
    now = stage.sqs.now
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(summary_table(found(stage), now=now))
    lines = [line.split("│")[1:-1] for line in console.export_text().splitlines() if "DeadLetters" in line]
    assert [[cell.strip() for cell in line] for line in lines] == [
        [EVENTS, "RejectedEvent", REASON, "2", "1 d 2 h", "1 h 0 min"],
        [OTHERS, "RetriesExhausted", "the log of its function names the errors", "1", "1 h 0 min", "1 h 0 min"],
    ]
