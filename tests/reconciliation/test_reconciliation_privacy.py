"""No name, token, or URL with a signature reaches a log, a metric, an error or what Step Functions keeps."""

import base64
import logging
import traceback

import pytest

from functions.runtime import setting
from reconciliation.credentials import read_secret
from reconciliation.failure import RunFailed
from reconciliation.handlers import conclude, run_monitor, unfinished_imports
from testbed.canvas.faults import FAULT_KINDS, Fault
from testbed.network import only_this_machine
from tests.reconciliation.machine import Context

# What the tests themselves log.
_OF_THE_TESTS = ("moto", "werkzeug")


@pytest.fixture
def written(caplog, output):
    """Everything that the functions logged and counted so far, at the level DEBUG."""
    caplog.set_level(logging.DEBUG)

    def written():
        formatter = logging.Formatter("%(name)s %(message)s")
        records = [record for record in caplog.records if not record.name.startswith(_OF_THE_TESTS)]
        return "\n".join([*map(formatter.format, records), *output.lines()])

    return written


@pytest.fixture
def private(canvas, school):
    """Names of users, credentials in every spelling, and what only URLs have."""
    credentials = canvas.credentials
    basic = base64.b64encode(f"{credentials.client_id}:{credentials.client_secret}".encode()).decode()
    names = {user.name for user in school.users.rows()} | {user.uuid for user in school.users.rows()}
    return names | {credentials.client_secret, credentials.token, basic, "signature", "eyJ", canvas.url, "Bearer"}


def found(private, text):
    return [value for value in private if value in text]


def test_nothing_private_leaves_a_run(cloud, canvas, machine, written, private, school):
    # GIVEN a school that has been renamed and deleted in
    cloud.deliver(school.take_events())
    written()
    school.delete_courses([next(school.enrollments.rows()).course_id])
    school.create_import()

    # WHEN a full run and the hourly functions say what they do
    with only_this_machine() as others:
        machine.run("backfill-1", full=True, expected=True)
        unfinished_imports.handler({}, Context())
    shown = written()

    # THEN log, metrics and payloads hold nothing private, and nobody else was told of it
    assert "RowsCompared" in shown
    assert found(private, shown + "".join(machine.history)) == []
    assert others == []


def test_the_clients_left_alone_would_log_what_is_private(cloud, canvas, machine, written, private, monkeypatch):
    for name in ("dap", "canvasapi"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
        logging.getLogger(name).manager._clear_cache()
    machine.compare("a", full=True)
    for name in ("dap", "canvasapi"):
        logging.getLogger(name).manager._clear_cache()
    assert found(private, written())


@pytest.mark.parametrize("kind", sorted(FAULT_KINDS))
def test_nothing_private_is_said_when_canvas_fails(cloud, canvas, machine, written, private, school, kind):
    # GIVEN a Canvas that fails in one way, always
    canvas.faults.switch_on(Fault(kind, times=None))
    if kind == "invalid client":  # met at a login only
        canvas.faults.switch_on(Fault("credentials refused", times=1))

    # WHEN a full run and an ordinary one meet it
    errors = []
    for full in (True, False):
        try:
            machine.invoke("compare_imports", machine.compare(f"run-{full}", full=full, expected=True))
        except RunFailed as error:
            errors += [*traceback.format_exception(error), str(error)]
    try:
        unfinished_imports.handler({}, Context())
    except RunFailed as error:
        errors += traceback.format_exception(error)

    # THEN the errors say so without anything private: source lines, which tracebacks show, are ours
    shown = written() + "".join(machine.history) + "".join(errors)
    assert found(private - {"Bearer", "signature"}, shown) == []
    assert "Step failed" in shown


def test_nothing_private_is_said_when_aws_fails(cloud, canvas, machine, written, private, monkeypatch):
    # GIVEN names in a bucket that is gone, and a state machine that is
    state = machine.compare("a", full=True, expected=True)
    monkeypatch.setenv("RUN_BUCKET", "gone")
    monkeypatch.setenv("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:gone")
    written()
    errors = []
    for handler, payload in ((conclude.handler, state), (run_monitor.handler, {})):
        with pytest.raises(RunFailed) as raised:
            handler(payload, Context())
        errors.append(str(raised.value))
    assert errors[0].startswith("conclude: NoSuchBucket.")
    assert errors[1].startswith("run_monitor: StateMachineDoesNotExist.")
    assert found(private, written() + "".join(errors)) == []


def test_secrets_are_in_no_log_even_where_everything_is_logged(cloud, written):
    read_secret(setting("CANVAS_SECRET_ARN"), "token")
    assert "double-token" not in written()
