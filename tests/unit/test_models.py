"""The six events: what Canvas may really send is valid, and what cannot be attributed or ordered is rejected."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from functions.canvas.event import parse_event, reject_future
from functions.canvas.rejection import RejectedEvent, UnreadableMessage
from testbed.events import EVENT_NAMES, example, on_the_bus, without
from testbed.models import MODELS, parsed


def rejection(event_name, message):
    """The error of a message that is rejected."""
    with pytest.raises(RejectedEvent) as rejected:
        parsed(event_name, message)
    return rejected.value


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_the_documented_example_is_valid(event_name):
    assert parsed(event_name, example(event_name)).detail.metadata.event_name == event_name


def test_the_metadata_may_be_named_attributes():
    # GIVEN a message whose envelope says `attributes`
    message = example("enrollment_created")
    message["attributes"] = message.pop("metadata")

    # WHEN it is parsed, THEN nothing is different
    expected = parsed("enrollment_created", example("enrollment_created")).detail
    assert parsed("enrollment_created", message).detail == expected


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_the_bare_minimum_of_metadata_is_enough(event_name):
    # GIVEN an event of a job: none of the fields of a user or a request
    needed = {"event_name", "event_time"} | ({"root_account_id"} if event_name.startswith("sis") else set())
    message = example(event_name)
    message["metadata"] = {key: value for key, value in message["metadata"].items() if key in needed}

    # WHEN it is parsed, THEN it is valid
    assert parsed(event_name, message)


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_null_and_missing_mean_the_same_and_unknown_keys_mean_nothing(event_name):
    # GIVEN an event in which every nullable field is null, and one in which it is missing
    model = parsed(event_name, example(event_name)).detail.body
    nullable = [name for name, field in type(model).model_fields.items() if not field.is_required()]
    nulls = example(event_name, body=dict.fromkeys(nullable) | {"invented_later": {"by": "Canvas"}})
    missing = example(event_name)
    missing["body"] = {key: value for key, value in missing["body"].items() if key not in nullable}

    # WHEN both are parsed, THEN they say the same
    assert parsed(event_name, nulls).detail.body == parsed(event_name, missing).detail.body


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_ids_may_be_integers(event_name):
    message = example(event_name)
    integers = {key: int(value) for key, value in message["body"].items() if key.endswith("_id") and value}
    with_integers = parsed(event_name, example(event_name, body=integers))
    assert with_integers.detail.body == parsed(event_name, message).detail.body


@pytest.mark.parametrize("event_name", EVENT_NAMES)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda m: without(m, "metadata", "event_time"),
            "metadata.event_time is missing, so the event cannot be ordered",
        ),
        (
            lambda m: m["metadata"].update(event_time=None) or m,
            "metadata.event_time is missing, so the event cannot be ordered",
        ),
        (
            lambda m: without(m, "metadata", "event_name"),
            "metadata.event_name is missing, so the type of the event is unknown",
        ),
        (
            lambda m: m["metadata"].update(event_time="2019-11-01T19:11:12") or m,
            "metadata.event_time has no UTC offset, so the time is ambiguous",
        ),
        (
            lambda m: m["metadata"].update(event_time="yesterday") or m,
            "metadata.event_time is not a timestamp (ISO 8601 date, time and offset)",
        ),
        (
            lambda m: m["metadata"].update(event_name="course_created") or m,
            "the message is another event: check the pattern of the rule",
        ),
        (lambda m: without(m, "body"), "body is missing"),
        (
            lambda m: without(without(m, "metadata", "event_time"), "body"),
            "metadata.event_time is missing, so the event cannot be ordered; body is missing",
        ),
    ],
)
def test_what_cannot_be_ordered_is_rejected_by_event_field_and_rule(event_name, change, reason):
    error = rejection(event_name, change(example(event_name)))
    assert (type(error), str(error)) == (RejectedEvent, f"{event_name}: {reason}")


def test_what_is_no_canvas_event_is_unreadable():
    error = rejection("enrollment_created", ["not", "an", "object"])
    assert isinstance(error, UnreadableMessage)
    assert str(error) == "the message is not a JSON object"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hunter2{", "the message is invalid: Invalid JSON: expected value at line 1 column 1"),
        ("[" * 10_000, "the message is invalid: Invalid JSON: recursion limit exceeded"),
        ('{"id": "1", "user_name": "\\ud800"}', "the message is invalid: Invalid JSON: unexpected end of hex escape"),
        (json.dumps(without(on_the_bus({}), "detail")), "the message is missing"),
        (json.dumps(without(on_the_bus(example("sis_batch_created")), "id")), "id is missing"),
    ],
)
def test_what_eventbridge_does_not_send_is_rejected(text, reason):
    with pytest.raises(RejectedEvent) as rejected:
        parse_event(text, MODELS["sis_batch_created"])
    assert str(rejected.value).startswith(f"sis_batch_created: {reason}")


@pytest.mark.parametrize("bad_id", ["abc", "", 0, 1.5])
def test_an_id_that_is_not_a_number_is_rejected(bad_id):
    error = rejection("enrollment_created", example("enrollment_created", body={"enrollment_id": bad_id}))
    assert str(error) == (
        "enrollment_created: body.enrollment_id is not a Canvas id (a positive number of at most 19 digits)"
    )


@pytest.mark.parametrize("event_name", ["sis_batch_created", "sis_batch_updated"])
def test_an_import_of_no_school_is_rejected(event_name):
    error = rejection(event_name, without(example(event_name), "metadata", "root_account_id"))
    assert str(error) == (
        f"{event_name}: metadata.root_account_id is missing, so the import cannot be attributed to a school"
    )


def test_the_error_of_a_model_has_no_value_of_the_event():
    # GIVEN an event with a value of the wrong type, WHEN its model refuses it
    event = on_the_bus(example("enrollment_created", body={"type": ["hunter2"]}))
    with pytest.raises(ValidationError) as invalid:
        MODELS["enrollment_created"].model_validate(event)

    # THEN its text can be logged
    assert "Input should be a valid string" in str(invalid.value)
    assert "hunter2" not in str(invalid.value)


def test_an_event_stays_as_it_was_validated():
    event = parsed("enrollment_created", example("enrollment_created"))
    with pytest.raises(ValidationError, match="frozen"):
        event.detail.body.type = "hunter2"


def test_a_rule_of_pydantic_reads_as_a_sentence():
    error = rejection("enrollment_created", example("enrollment_created", body={"type": {"secret": 1}}))
    assert str(error) == "enrollment_created: body.type is invalid: Input should be a valid string"


@pytest.mark.parametrize("other_name", ["énrollment_created", "enrollment_created\n", ["enrollment_created"], 7])
def test_a_name_that_is_not_the_functions_is_rejected_whatever_it_is(other_name):
    message = example("enrollment_created", metadata={"event_name": other_name})
    assert str(rejection("enrollment_created", message)).startswith("enrollment_created: the message is another event")


def test_an_event_is_from_the_future_once_it_is_past_the_tolerance():
    # GIVEN an event that is fifteen minutes ahead of our clock
    event = parsed("sis_batch_updated", example("sis_batch_updated", metadata={"event_time": "2025-01-01T00:15:00Z"}))
    now = datetime(2025, 1, 1, tzinfo=UTC)

    # THEN fifteen minutes of tolerance are enough, and a microsecond less is not
    reject_future(event, now=now, tolerance=timedelta(minutes=15))
    with pytest.raises(RejectedEvent) as rejected:
        reject_future(event, now=now - timedelta(microseconds=1), tolerance=timedelta(minutes=15))
    assert str(rejected.value) == ("sis_batch_updated: metadata.event_time is more than 15 minutes in the future")


@pytest.mark.parametrize(
    ("root_account_id", "account_id", "expected"),
    [
        ("21070000000000001", "1", "21070000000000001"),
        ("21070000000000079", 1, "21070000000000001"),
        ("1", "1", "1"),
        ("21070000000000001", "21070000000000009", "21070000000000009"),
    ],
)
def test_a_local_account_id_becomes_global(root_account_id, account_id, expected):
    message = example(
        "sis_batch_created", metadata={"root_account_id": root_account_id}, body={"account_id": account_id}
    )
    assert parsed("sis_batch_created", message).detail.global_account_id == expected
