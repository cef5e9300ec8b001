"""Privacy of runs: logs, metrics, errors and payloads have no names, tokens or signed URLs."""

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

# Loggers of the tests.
_OF_THE_TESTS = ("moto", "werkzeug")


@pytest.fixture
def written(caplog, output):
    """Return all logs, at level DEBUG, and metrics so far."""
    caplog.set_level(logging.DEBUG)

    def written():
        formatter = logging.Formatter("%(name)s %(message)s")
        records = [record for record in caplog.records if not record.name.startswith(_OF_THE_TESTS)]
        return "\n".join([*map(formatter.format, records), *output.lines()])

    return written


@pytest.fixture
def private(canvas, school):
    """Names of users, credentials in every encoding, and parts of signed URLs."""
    credentials = canvas.credentials
    basic = base64.b64encode(f"{credentials.client_id}:{credentials.client_secret}".encode()).decode()
    names = {user.name for user in school.users.rows()} | {user.uuid for user in school.users.rows()}
    return names | {credentials.client_secret, credentials.token, basic, "signature", "eyJ", canvas.url, "Bearer"}


def found(private, text):
    return [value for value in private if value in text]


def test_nothing_private_leaves_a_run(cloud, canvas, machine, written, private, school):
    # GIVEN tables with all events, and then a deleted course and a new import
    cloud.deliver(school.take_events())
    written()
    school.delete_courses([next(school.enrollments.rows()).course_id])
    school.create_import()

    # WHEN a full run and the hourly functions are executed at level DEBUG
    with only_this_machine() as others:
        machine.run("backfill-1", full=True, expected=True)
        unfinished_imports.handler({}, Context())
    shown = written()

    # THEN logs, metrics and payloads have no private value, and no other host was contacted
    assert "RowsCompared" in shown
    assert found(private, shown + "".join(machine.history)) == []
    assert others == []


def test_the_clients_left_alone_would_log_what_is_private(cloud, canvas, machine, written, private, caplog):
    for name in ("dap", "canvasapi"):
        caplog.set_level(logging.DEBUG, logger=name)
    machine.compare("a", full=True)
    assert found(private, written())


@pytest.mark.parametrize("kind", sorted(FAULT_KINDS))
def test_nothing_private_is_written_when_canvas_fails(cloud, canvas, machine, written, private, school, kind):
    # GIVEN a Canvas with a permanent fault
    canvas.faults.switch_on(Fault(kind, times=None))
    if kind == "invalid client":  # affects logins only
        canvas.faults.switch_on(Fault("credentials refused", times=1))

    # WHEN a full and an incremental run fail
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

    # THEN the errors have no private value, except for source lines in tracebacks
    shown = written() + "".join(machine.history) + "".join(errors)
    assert found(private - {"Bearer", "signature"}, shown) == []
    assert "Step failed" in shown


def test_nothing_private_is_written_when_aws_fails(cloud, canvas, machine, written, private, monkeypatch):
    # GIVEN a deleted bucket and a deleted state machine
    state = machine.compare("a", full=True, expected=True)
    monkeypatch.setenv("RUN_BUCKET", "gone")
    monkeypatch.setenv("STATE_MACHINE_ARN", "arn:aws:states:us-east-1:123456789012:stateMachine:gone")
    written()
    with pytest.raises(RunFailed, match=r"^conclude: NoSuchBucket\.") as concluding:
        conclude.handler(state, Context())
    with pytest.raises(RunFailed, match=r"^run_monitor: StateMachineDoesNotExist\.") as monitoring:
        run_monitor.handler({}, Context())
    assert found(private, f"{written()}{concluding.value}{monitoring.value}") == []


def test_secrets_are_in_no_log_even_where_everything_is_logged(cloud, written):
    read_secret(setting("CANVAS_SECRET_ARN"), "token")
    assert "double-token" not in written()
