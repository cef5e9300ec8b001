"""The envelope of a Canvas message: `{metadata, body}`, from which the relay and the functions take the event."""

import json

import pytest

from functions.canvas.envelope import Envelope, open_envelope, read_message
from functions.canvas.rejection import UnreadableMessage

CALIPER = "the message is in the Caliper format: set its subscription in Canvas Data Services to the Canvas format"
NAMELESS = "metadata.event_name is missing or not printable ASCII"
NO_METADATA = "the message has no metadata, so it is not a Canvas live event"
NOT_JSON = "the message is not JSON"
NOT_AN_OBJECT = "the message is not a JSON object"


def test_a_message_has_metadata_with_the_name_of_its_event_and_a_body():
    envelope = read_message('{"metadata": {"event_name": "course_created"}, "body": [1]}')
    assert envelope == Envelope(metadata={"event_name": "course_created"}, body=[1])
    assert envelope.event_name == "course_created"


def test_a_message_may_have_no_body():
    assert read_message('{"metadata": {"event_name": "course_created"}}').body is None


def test_of_metadata_and_attributes_metadata_is_read():
    # GIVEN a message with both, of which some senders use the second only
    both = {"attributes": {"event_name": "course_created"}, "metadata": {"event_name": "course_updated"}}

    # THEN the documented one is read, whatever their order, and the other where it is alone
    assert open_envelope(both).event_name == "course_updated"
    assert open_envelope({"metadata": None} | {"attributes": both["attributes"]}).event_name == "course_created"


@pytest.mark.parametrize("name", [None, "", 7, ["course_created"], "coursé_created", "course_created\n", "\x7f"])
def test_what_is_no_printable_ascii_text_names_no_event(name):
    with pytest.raises(UnreadableMessage) as unreadable:
        read_message(json.dumps({"metadata": {"event_name": name}}))
    assert str(unreadable.value) == NAMELESS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hunter2{", NOT_JSON),
        ("", NOT_JSON),
        ('{"n": ' + "1" * 5000 + "}", NOT_JSON),  # more digits than Python converts
        ('"hunter2"', NOT_AN_OBJECT),
        ("[{}]", NOT_AN_OBJECT),
        ("null", NOT_AN_OBJECT),
        ("{}", NO_METADATA),
        ('{"body": {}, "metadata": "hunter2"}', NO_METADATA),
        ('{"sensor": "x", "data": []}', NO_METADATA),
        ('{"dataVersion": "x", "data": []}', NO_METADATA),
        ('{"sensor": "x", "dataVersion": []}', NO_METADATA),
        ('{"metadata": {}}', NAMELESS),
        ('{"sensor": "x", "dataVersion": "y", "data": []}', CALIPER),
        ('{"sensor": "x", "dataVersion": "y", "data": [], "sendTime": "z"}', CALIPER),
    ],
)
def test_what_is_no_canvas_event_is_unreadable_and_says_why_without_its_content(text, reason):
    with pytest.raises(UnreadableMessage) as unreadable:
        read_message(text)
    assert str(unreadable.value) == reason
    assert unreadable.value.__suppress_context__ is (reason == NOT_JSON)


def test_a_message_that_is_nested_too_deeply_is_an_error_of_its_own():
    with pytest.raises(RecursionError):
        read_message("[" * 100_000)
