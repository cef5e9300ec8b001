"""Step publish: starts at a line, and waits while the queues are full."""

import pytest

from functions.runtime import setting
from reconciliation import publishing
from reconciliation.aws import aws_client
from reconciliation.correction import Correction
from reconciliation.run_files import Lines, RunFiles

KEY = "runs/a/corrections/enrollments-00000-000000.jsonl.gz"


@pytest.fixture
def file(cloud):
    """A file of 25 corrections."""
    lines = Lines()
    for number in range(25):
        body = {"enrollment_id": str(number + 1)}
        lines.add(Correction(event_name="enrollment_updated", event_time="t", root_account_id="1", body=body).to_json())
    RunFiles("a").write_lines("corrections/enrollments-00000-000000.jsonl.gz", lines)
    return {"run": "a", "key": KEY, "line": 0}


def numbers(cloud):
    return [int(event["body"]["enrollment_id"]) for event in cloud.published()]


def test_a_file_is_published_in_order(cloud, machine, file):
    assert machine.invoke("publish", file) == file | {"line": 25, "done": True, "wait": False}
    assert numbers(cloud) == list(range(1, 26))


def test_an_invocation_hands_on_its_line(cloud, machine, file):
    # GIVEN invocations with time for one request
    machine.context.milliseconds = 60_000
    state = file
    for line in (10, 20, 25):
        state = machine.invoke("publish", state)
        assert state == file | {"line": line, "done": False, "wait": False}

    # WHEN no line is left, THEN the file is done, and each line was published once
    assert machine.invoke("publish", state)["done"] is True
    assert numbers(cloud) == list(range(1, 26))


def test_corrections_wait_while_live_events_do(cloud, machine, file, monkeypatch):
    # GIVEN queues with a total depth above the limit
    monkeypatch.setenv("QUEUE_DEPTH_LIMIT", "3")
    for url in setting("QUEUE_URLS").split():
        for _ in range(2):
            aws_client("sqs").send_message(QueueUrl=url, MessageBody="{}")

    # WHEN a file is published, THEN the step waits at the same line
    assert machine.invoke("publish", file | {"line": 7}) == file | {"line": 7, "done": False, "wait": True}
    assert numbers(cloud) == []

    # WHEN the depth is at the limit, THEN it continues
    monkeypatch.setenv("QUEUE_DEPTH_LIMIT", "6")
    assert machine.invoke("publish", file | {"line": 7})["done"] is True
    assert numbers(cloud) == list(range(8, 26))


def test_the_rate_is_that_of_the_setting(machine, file, monkeypatch, waits):
    monkeypatch.setenv("CORRECTIONS_PER_SECOND", "2")
    monkeypatch.setattr(publishing, "_clock", lambda: sum(waits))
    machine.invoke("publish", file)
    assert waits == [0, 5, 5]
