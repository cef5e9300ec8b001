"""The six events: what Canvas may really send validates, and what cannot be placed or ordered is refused."""

import pytest
from pydantic import ValidationError

from functions.canvas.enrollment import EnrollmentCreated, EnrollmentUpdated
from functions.canvas.enrollment_state import EnrollmentStateCreated, EnrollmentStateUpdated
from functions.canvas.rejection import RejectedEvent
from functions.canvas.sis_batch import SisBatchCreated, SisBatchUpdated
from tests.canvas import EVENT_NAMES, example, on_the_bus, without

MODELS = {
    model.event_name: model
    for model in (
        EnrollmentCreated,
        EnrollmentUpdated,
        EnrollmentStateCreated,
        EnrollmentStateUpdated,
        SisBatchCreated,
        SisBatchUpdated,
    )
}


def parse(event_name, message):
    return MODELS[event_name].model_validate(on_the_bus(message, event_name))


def refusal(event_name, message):
    with pytest.raises(ValidationError) as refused:
        parse(event_name, message)
    return str(RejectedEvent.invalid(event_name, refused.value))


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_the_documented_example_validates(event_name):
    assert parse(event_name, example(event_name)).detail.metadata.event_name == event_name


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_the_metadata_may_be_named_attributes(event_name):
    # GIVEN a message whose envelope says `attributes`
    message = example(event_name)
    message["attributes"] = message.pop("metadata")

    # WHEN it is read, THEN nothing is different
    assert parse(event_name, message).detail == parse(event_name, example(event_name)).detail


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_the_bare_minimum_of_metadata_is_enough(event_name):
    # GIVEN an event of a job: none of the fields of a user or a request
    needed = {"event_name", "event_time"} | ({"root_account_id"} if event_name.startswith("sis") else set())
    message = example(event_name)
    message["metadata"] = {key: value for key, value in message["metadata"].items() if key in needed}

    # WHEN it is read, THEN it is valid
    assert parse(event_name, message)


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_null_and_missing_mean_the_same_and_unknown_keys_mean_nothing(event_name):
    # GIVEN an event in which every nullable field is null, and one in which it is missing
    model = parse(event_name, example(event_name)).detail.body
    nullable = [name for name, field in type(model).model_fields.items() if not field.is_required()]
    nulls = example(event_name, body=dict.fromkeys(nullable) | {"invented_later": {"by": "Canvas"}})
    missing = example(event_name)
    missing["body"] = {key: value for key, value in missing["body"].items() if key not in nullable}

    # WHEN both are read, THEN they say the same
    assert parse(event_name, nulls).detail.body == parse(event_name, missing).detail.body


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_ids_may_be_integers(event_name):
    message = example(event_name)
    as_integers = {key: int(value) for key, value in message["body"].items() if key.endswith("_id") and value}
    assert (
        parse(event_name, example(event_name, body=as_integers)).detail.body == parse(event_name, message).detail.body
    )


@pytest.mark.parametrize("event_name", EVENT_NAMES)
def test_a_state_that_we_do_not_know_is_accepted(event_name):
    state = "state" if "enrollment_state" in event_name else "workflow_state"
    assert parse(event_name, example(event_name, body={state: "invented_later"}))


@pytest.mark.parametrize("event_name", EVENT_NAMES)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda m: without(m, "metadata", "event_time"),
            "metadata.event_time is missing, so the event cannot be ordered",
        ),
        (lambda m: m["metadata"].update(event_time=None) or m, "metadata.event_time is missing, so"),
        (lambda m: without(m, "metadata", "event_name"), "metadata.event_name is missing"),
        (lambda m: m["metadata"].update(event_time="2019-11-01T19:11:12") or m, "metadata.event_time has no offset"),
        (lambda m: m["metadata"].update(event_time="yesterday") or m, "metadata.event_time is not a timestamp"),
        (lambda m: m["metadata"].update(event_name="course_created") or m, "the message is another event than"),
        (lambda m: without(m, "body"), "body is missing"),
        (lambda m: without(m, "metadata"), "the message has no metadata, so it is not a Canvas live event"),
        (lambda _: {"sensor": "x", "dataVersion": "y", "data": []}, "Caliper format: set the format"),
        (lambda _: ["not", "an", "object"], "the message is not a JSON object"),
    ],
)
def test_what_cannot_be_ordered_is_refused_by_its_field_and_rule(event_name, change, reason):
    assert reason in refusal(event_name, change(example(event_name)))


@pytest.mark.parametrize("event_name", [name for name in EVENT_NAMES if name.startswith("enrollment")])
@pytest.mark.parametrize("bad_id", ["abc", "", 0, 1.5])
def test_an_id_that_is_not_a_number_is_refused(event_name, bad_id):
    assert "body.enrollment_id is not a Canvas id" in refusal(
        event_name, example(event_name, body={"enrollment_id": bad_id})
    )


@pytest.mark.parametrize("event_name", ["sis_batch_created", "sis_batch_updated"])
def test_an_import_of_no_school_is_refused(event_name):
    assert (
        "metadata.root_account_id is missing, so the import cannot be told from another school's import with the same"
        in refusal(event_name, without(example(event_name), "metadata", "root_account_id"))
    )


def test_a_rule_of_pydantic_reads_as_a_sentence():
    assert "body.type is invalid: Input should be a valid string" in refusal(
        "enrollment_created", example("enrollment_created", body={"type": {"secret": 1}})
    )


def test_half_a_character_is_refused():
    assert "body.user_name holds half a character" in refusal(
        "enrollment_created", example("enrollment_created", body={"user_name": "\ud800"})
    )


@pytest.mark.parametrize("event_name", EVENT_NAMES)
@pytest.mark.parametrize(
    "other_name", ["énrollment_created", "\ud800", "enrollment_created\n", ["enrollment_created"], 7]
)
def test_a_name_that_is_not_the_functions_is_refused_whatever_it_is(event_name, other_name):
    message = example(event_name, metadata={"event_name": other_name})
    assert "the message is another event than this function's" in refusal(event_name, message)


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
    assert parse("sis_batch_created", message).detail.global_account_id == expected
