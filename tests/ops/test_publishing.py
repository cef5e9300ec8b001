"""Files of events, and the errors of invalid ones."""

import json

import pytest

from ops.failure import OperatorError
from ops.publishing import read_events

ONE, OTHER = {"metadata": {"event_name": "a"}}, {"metadata": {"event_name": "b"}}


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (json.dumps(ONE), [ONE]),
        (json.dumps(ONE, indent=2), [ONE]),
        (json.dumps([ONE, OTHER]), [ONE, OTHER]),
        (json.dumps(ONE) + "\n\n" + json.dumps(OTHER) + "\n", [ONE, OTHER]),
    ],
)
def test_json_and_ndjson_are_read(tmp_path, text, events):
    file = tmp_path / "events"
    file.write_text(text)
    assert read_events(file) == events


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hunter2", r"line 1 is not JSON\. Write one event a line, or a list\."),
        (json.dumps(ONE) + "\nhunter2", "line 2 is not JSON"),
        ('["hunter2"]', "entry 1 is not a JSON object"),
    ],
)
def test_anything_else_is_refused_by_its_place_and_without_its_content(tmp_path, text, message):
    file = tmp_path / "events"
    file.write_text(text)
    with pytest.raises(OperatorError, match=message) as refused:
        read_events(file)
    assert "hunter2" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OperatorError, match="nowhere: cannot be read as text"):
        read_events(tmp_path / "nowhere")
