"""Queries of Canvas Data 2 with the client of Instructure, against the test double."""

import asyncio
import gzip
import logging
from contextlib import aclosing
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web
from dap.api import DAPClient, DAPSession
from dap.dap_error import OutOfRangeError, ServerError

from reconciliation import canvas_data as module
from reconciliation.canvas_data import CanvasData, canvas_data
from reconciliation.failure import (
    AccountNotEnabled,
    CredentialsRefused,
    JobFailed,
    PartUnreadable,
    RequestTypeForbidden,
    SnapshotRequired,
    UnderMaintenance,
)
from testbed.canvas.faults import Fault
from testbed.network import only_this_machine

GOOD = {"client_id": "double", "client_secret": "double-secret"}
BAD = {"client_id": "double", "client_secret": "hunter2"}


@pytest.fixture
def secrets(monkeypatch):
    """Values of the secret, one per read; the last one is repeated."""
    contents = [GOOD]
    monkeypatch.setattr(module, "read_secret", lambda *_: contents.pop(0) if len(contents) > 1 else contents[0])
    return contents


@pytest.fixture
def ask(canvas, secrets):
    """Run a coroutine function in a session with Canvas Data 2."""

    def ask(question):
        async def answer():
            async with canvas_data() as session:
                return await question(session)

        return asyncio.run(answer())

    return ask


@pytest.fixture
def order(ask):
    """Query a table until its result is complete."""

    def order(table="enrollments", *, since=None):
        async def question(session):
            job = await session.query_table(table, since=since)
            while (result := await session.result(table, job)) is None:
                pass
            return result

        return ask(question)

    return order


@pytest.fixture
def lines(ask):
    """Read the lines of an object."""

    def lines(object_id, **options):
        async def question(session):
            async with aclosing(session.lines(object_id, **options)) as found:
                return [line async for line in found]

        return ask(question)

    return lines


def test_a_result_has_its_time_and_its_objects_in_order(canvas, order, lines, school):
    canvas.dap.rows_per_part = 15
    result = order()
    assert result.at == school.now.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    assert [object_id.rpartition("/")[2] for object_id in result.objects] == [
        f"part-{number:05}.jsonl.gz" for number in range(3)
    ]
    assert [len(lines(object_id)) for object_id in result.objects] == [15, 15, 10]


def test_a_result_is_awaited_without_waiting(canvas, ask):
    # GIVEN a job that runs at the first poll, and completes later
    canvas.dap.polls = 2

    async def question(session):
        job = await session.query_table("users", since=None)
        return [await session.result("users", job) is None for _ in range(3)]

    assert ask(question) == [True, False, False]


def test_an_incremental_query_returns_changes_only(order, lines, school):
    changed = order(since=school.now - timedelta(days=22))
    assert 0 < len(lines(changed.objects[0])) < 40
    assert changed.at == school.now.strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def test_a_query_that_is_too_early_is_repeated_with_the_earliest_permitted_time(canvas, order, school, lines):
    canvas.dap.earliest_since = school.now - timedelta(days=10)
    few = lines(order(since=school.now - timedelta(days=22)).objects[0])
    assert few == lines(order(since=canvas.dap.earliest_since).objects[0])


def test_a_time_that_is_too_early_twice_means_that_a_snapshot_is_due(canvas, order, school, monkeypatch):
    # GIVEN an earliest permitted time that advances with each query
    async def question(*_):
        raise OutOfRangeError(type="OutOfRange", uuid="", message="", since=school.now, until=None)

    monkeypatch.setattr(CanvasData, "_query_since", question)
    with pytest.raises(SnapshotRequired, match="ops backfill"):
        order(since=school.now)


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (Fault("snapshot required"), SnapshotRequired, "reloaded table enrollments.*run ops backfill --stage STAGE"),
        (Fault("under maintenance"), UnderMaintenance, "under maintenance for this account"),
        (
            Fault("job fails"),
            JobFailed,
            r"could not make the result of table enrollments \(job .*about error [0-9a-f-]+\.",
        ),
        (Fault("credentials refused", times=None), CredentialsRefused, "client id and secret in canvas-data"),
    ],
)
def test_a_permanent_error_ends_the_run_with_a_remedy(canvas, order, school, fault, kind, text):
    canvas.faults.switch_on(fault)
    with pytest.raises(kind, match=text):
        order(since=school.now - timedelta(days=22))


def test_a_query_of_all_rows_may_be_forbidden(canvas, order):
    canvas.faults.switch_on(Fault("snapshots forbidden"))
    with pytest.raises(RequestTypeForbidden, match="table enrollments"):
        order()


@pytest.mark.parametrize("error", ["AccountDisabled", "AccountNotOnboarded"])
def test_an_account_that_is_not_served_ends_the_run(canvas, order, monkeypatch, error):
    def refuse(_):
        answer = {"error": {"type": error, "uuid": "1", "message": "hunter2"}}
        return web.json_response(answer, status=403)

    monkeypatch.setattr(canvas.dap, "refuse", refuse)
    with pytest.raises(AccountNotEnabled, match=rf"does not serve this account \({error}Error\)"):
        order()


def test_a_table_or_job_that_is_not_there_ends_the_run(ask):
    with pytest.raises(JobFailed, match="no table quizzes"):
        ask(lambda session: session.query_table("quizzes", since=None))
    with pytest.raises(JobFailed, match="no longer has its job"):
        ask(lambda session: session.result("users", "gone"))


def test_a_query_that_is_not_understood_ends_the_run(canvas, order, monkeypatch):
    def refuse(request):
        place = {"line": 1, "column": 1, "character": 1}
        error = {"type": "ValidationError", "uuid": "hunter2 said so", "message": "hunter2", "location": place}
        return web.json_response({"error": error}, status=400) if "query" in request.path else None

    monkeypatch.setattr(canvas.dap, "refuse", refuse)
    with pytest.raises(JobFailed, match=r"rejects the query .* error \(without a number\)"):
        order()


@pytest.mark.parametrize(
    "fault", [Fault("too many requests", times=2), Fault("server error", times=2), Fault("disconnect")]
)
def test_the_client_retries_after(canvas, order, fault):
    fault.where = "/dap/query"
    canvas.faults.switch_on(fault)
    assert order().objects


def test_an_outage_is_left_to_be_repeated(canvas, order):
    canvas.faults.switch_on(Fault("server error", times=None))
    with pytest.raises(ServerError):
        order()


def test_a_call_that_never_ends_is_ended(canvas, ask, monkeypatch):
    monkeypatch.setattr(module, "_CALL_SECONDS", 0.01)

    async def question(session):
        await session._call(lambda _: asyncio.Event().wait())

    with pytest.raises(TimeoutError):
        ask(question)


# Credentials.


def test_credentials_that_were_exchanged_are_read_once_more(canvas, order, secrets):
    # GIVEN a secret whose old content is refused
    secrets[:] = [BAD, GOOD]
    assert order().objects


@pytest.mark.parametrize("fault", [Fault("credentials refused"), Fault("invalid client")])
def test_a_session_that_is_refused_midway_begins_anew(canvas, ask, fault):
    async def question(session):
        job = await session.query_table("users", since=None)
        canvas.faults.switch_on(fault)
        if fault.kind == "invalid client":  # affects a login, which follows a refusal
            canvas.faults.switch_on(Fault("credentials refused"))
        return (await session.result("users", job)).objects

    if fault.kind == "credentials refused":
        assert ask(question)
    else:
        with pytest.raises(CredentialsRefused):
            ask(question)


def test_a_refusal_in_the_form_of_oauth_is_one(canvas, order):
    canvas.faults.switch_on(Fault("invalid client", times=2))
    with pytest.raises(CredentialsRefused, match="Make new ones at identity"):
        order()


def test_another_fault_after_a_refusal_is_not_taken_for_one(canvas, order):
    canvas.faults.switch_on(Fault("credentials refused"))
    canvas.faults.switch_on(Fault("server error", times=None, where="/dap/query"))
    with pytest.raises(ServerError):
        order()


# Objects.


@pytest.fixture
def stored(canvas, order):
    """An object of forty lines."""
    (object_id,) = order().objects
    return object_id


@pytest.mark.parametrize(
    "fault",
    [
        Fault("url expired", times=2),
        Fault("gzip truncated", times=2),
        Fault("gzip corrupt", times=2),
        Fault("disconnect", times=2, where="/objects/"),
        Fault("server error", times=2, where="/objects/"),
        Fault("too many requests", times=2, where="/objects/"),
    ],
)
def test_an_interrupted_download_goes_on_where_it_was(canvas, lines, stored, fault):
    # GIVEN a fault in the first downloads, WHEN the object is read, THEN each line is returned once, by new URLs
    whole = lines(stored)
    before = len(canvas.requests)
    canvas.faults.switch_on(fault)
    assert lines(stored) == whole
    assert [request.path for request in canvas.requests[before:]].count("/dap/object/url") >= 2


def test_the_last_line_of_an_object_needs_no_line_break(canvas, lines, stored, monkeypatch):
    monkeypatch.setattr(canvas.dap, "_part", lambda *_: gzip.compress(b"one\ntwo"))
    assert lines(stored) == [b"one", b"two"]


def test_lines_before_a_chunk_are_skipped(lines, stored):
    whole = lines(stored)
    assert lines(stored, skip=15) == whole[15:]
    assert lines(stored, skip=40) == lines(stored, skip=500) == []


def test_a_download_with_progress_resets_the_attempts(canvas, lines, stored, monkeypatch):
    # GIVEN downloads that each return four more lines, more of them than are attempted without progress
    whole, length = lines(stored), [0]
    serve = canvas.dap._part

    def growing(*names):
        length[0] += 4
        part = gzip.compress(b"".join(line + b"\n" for line in whole[: length[0]]))
        return part[:-8] if length[0] < 40 else serve(*names)

    monkeypatch.setattr(canvas.dap, "_part", growing)
    monkeypatch.setattr(CanvasData, "_object_url", lambda *_: url())

    async def url():
        return f"{canvas.url}/objects/{stored}?expires=9999999999&signature=double"

    assert lines(stored) == whole


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("url expired", times=None), "status 403"),
        (Fault("gzip truncated", times=None), "truncated"),
        (Fault("gzip corrupt", times=None), "not gzip"),
        (Fault("disconnect", times=None, where="/objects/"), "ServerDisconnectedError"),
    ],
)
def test_an_object_that_cannot_be_read_ends_the_run(canvas, lines, stored, fault, reason):
    canvas.faults.switch_on(fault)
    with pytest.raises(PartUnreadable, match=rf"cannot be read beyond line \d+ \({reason}; 5 attempts\)") as raised:
        lines(stored)
    assert canvas.url not in str(raised.value)
    assert "signature" not in str(raised.value)


def test_an_object_that_vanished_ends_the_run(canvas, lines, stored):
    canvas.faults.switch_on(Fault("object vanished"))
    with pytest.raises(PartUnreadable, match=f"no longer has object {stored}.*Start another run: ops reconcile"):
        lines(stored)


def test_an_object_that_no_url_is_given_for_ends_the_run(canvas, lines, stored, monkeypatch):
    async def nothing(*_):
        return {}

    monkeypatch.setattr(DAPSession, "get_resources", nothing)
    with pytest.raises(PartUnreadable, match="no longer has object"):
        lines(stored)


@pytest.mark.parametrize("headers", [None, {"Content-Encoding": "gzip"}])
def test_an_object_is_decompressed_once_whatever_its_server_calls_it(canvas, lines, stored, monkeypatch, headers):
    whole = lines(stored)
    response = web.Response
    monkeypatch.setattr("testbed.canvas.dap.web.Response", lambda **options: response(**options, headers=headers))
    assert lines(stored) == whole


def test_a_url_is_used_as_it_was_given(canvas, lines, stored, monkeypatch):
    # GIVEN a signature with characters that a client may encode differently
    async def url(*_):
        return f"{canvas.url}/objects/{stored}?expires=9999999999&signature=double&by=a%2Fb%3D+c%7E"

    monkeypatch.setattr(CanvasData, "_object_url", url)
    lines(stored)
    assert canvas.requests[-1].path.endswith("by=a%2Fb%3D+c%7E")


# Privacy.


def test_the_usage_of_the_client_is_not_reported(canvas, order, monkeypatch):
    # GIVEN an environment in which the client would report its usage
    monkeypatch.delenv("DAP_TRACKING", raising=False)
    tracking = []
    make = DAPClient.__init__

    def spy(self, *arguments, **options):
        make(self, *arguments, **options)
        tracking.append(self._tracking)

    monkeypatch.setattr(DAPClient, "__init__", spy)

    # WHEN Canvas Data 2 is queried, THEN no other host is contacted
    with only_this_machine() as others:
        order()
    assert tracking == [False]
    assert others == []


def test_the_client_writes_no_log(canvas, order, lines, caplog):
    caplog.set_level(logging.DEBUG)
    canvas.faults.switch_on(Fault("credentials refused"))
    lines(order().objects[0])
    assert [record for record in caplog.records if record.name.startswith(("dap", "aiohttp", "asyncio"))] == []


def test_a_session_leaves_no_connection_open(canvas, ask, monkeypatch):
    opened = []
    make = aiohttp.ClientSession.__init__

    def spy(self, *arguments, **options):
        make(self, *arguments, **options)
        opened.append(self)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", spy)
    canvas.faults.switch_on(Fault("credentials refused"))
    ask(lambda session: session.query_table("users", since=None))
    assert len(opened) == 5  # that of the session, and two of the client per login
    assert all(session.closed for session in opened)
