"""Queries of SIS imports with canvasapi, against the test double: pages, rate limits and refusals."""

import logging
from datetime import timedelta

import pytest
import requests
from requests.adapters import HTTPAdapter

from reconciliation import canvas_rest as module
from reconciliation.canvas_rest import canvas_rest
from reconciliation.failure import AccountNotEnabled, CredentialsRefused, TemporaryFailure
from testbed.canvas.faults import Fault
from testbed.network import only_this_machine

IMPORTS = 24


@pytest.fixture
def secrets(monkeypatch):
    """Values of the secret, one per read; the last one is repeated."""
    contents = ["double-token"]
    monkeypatch.setattr(
        module, "read_secret", lambda *_: {"token": contents.pop(0) if len(contents) > 1 else contents[0]}
    )
    return contents


@pytest.fixture
def rest(canvas, secrets):
    """A session with the test double."""
    return canvas_rest()


@pytest.fixture
def recent(rest, school):
    """Query the imports of the last three weeks."""
    return lambda: list(rest.sis_imports(created_since=school.now - timedelta(days=22)))


def test_recent_imports_come_with_the_date_of_their_page(recent, school):
    found = recent()
    assert len(found) == IMPORTS
    states = {row.id: row.workflow_state for row in school.sis_imports.rows()}
    assert {each.answer.sis_batch_id: each.answer.workflow_state for each in found} == states
    assert {each.page.date for each in found} == {school.now.replace(microsecond=0)}
    assert all(timedelta(0) < each.page.elapsed < timedelta(seconds=60) for each in found)


def test_a_long_list_has_many_pages_each_with_its_date(canvas, rest, school):
    # GIVEN more imports than a page has, and a clock that advances between the pages
    for _ in range(100):
        school.create_import()
    dates = set()
    for each in rest.sis_imports(created_since=school.now - timedelta(days=22)):
        if each.page.date not in dates:
            dates.add(each.page.date)
            school.now += timedelta(minutes=1)
    assert len(dates) == 2


def test_older_imports_are_not_queried(rest, school):
    assert list(rest.sis_imports(created_since=school.now - timedelta(days=1))) == []


def test_one_import_is_queried_by_its_id(rest, school):
    row = next(iter(school.sis_imports.rows()))
    assert rest.sis_import(row.id).answer.workflow_state == row.workflow_state


def test_an_import_that_canvas_no_longer_has_is_gone(rest, school):
    row = next(iter(school.sis_imports.rows()))
    school.purge_import(row.id)
    assert rest.sis_import(row.id) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "hunter2"},
        {"id": None},
        {"workflow_state": None},
        {"workflow_state": ""},
        {"ended_at": "hunter2"},
        {"updated_at": 7},
    ],
)
def test_an_import_that_cannot_be_read_is_no_answer(canvas, rest, school, monkeypatch, changed):
    from testbed.canvas import rest as served

    show = served._sis_import_json
    monkeypatch.setattr(served, "_sis_import_json", lambda row: show(row) | changed)
    found = rest.sis_import(next(iter(school.sis_imports.rows())).id)
    assert found.answer is None
    assert found.page.date == school.now.replace(microsecond=0)


# Retries.


@pytest.mark.parametrize(
    ("fault", "waited"),
    [
        (Fault("too many requests", times=2, retry_after=7), [7, 7]),
        (Fault("too many requests", times=2, retry_after="soon"), [2, 4]),
        (Fault("too many requests", times=1, retry_after=None), [2]),
        (Fault("too many requests", times=1, retry_after="-9"), []),
        (Fault("too many requests", times=1, retry_after="nan"), []),
        (Fault("rate limit exceeded", times=3), [2, 4, 8]),
        (Fault("server error", times=4), [2, 4, 8, 16]),
        (Fault("disconnect", times=2), [2, 4]),
    ],
)
def test_a_request_is_retried_after(canvas, recent, waits, fault, waited):
    canvas.faults.switch_on(fault)
    assert len(recent()) == IMPORTS
    assert [wait for wait in waits if wait] == waited


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("too many requests", times=None), r"\(status 429, attempt 5\)"),
        (Fault("too many requests", retry_after=600), r"\(status 429, attempt 1\)"),
        (Fault("rate limit exceeded", times=None), r"\(status 403, attempt 5\)"),
        (Fault("server error", times=None, status=502), r"\(status 502, attempt 5\)"),
        (Fault("disconnect", times=None), r"\(ConnectionError, attempt 5\)"),
    ],
)
def test_retries_are_limited(canvas, recent, fault, text):
    canvas.faults.switch_on(fault)
    with pytest.raises(TemporaryFailure, match=f"Canvas does not answer {text}"):
        recent()


def test_a_request_without_an_answer_is_retried(rest, recent, monkeypatch, waits):
    send = HTTPAdapter.send
    slow = [requests.ReadTimeout(), requests.ConnectTimeout()]
    timeouts = []

    def answer(self, request, **options):
        timeouts.append(options["timeout"])
        if slow:
            raise slow.pop()
        return send(self, request, **options)

    monkeypatch.setattr(HTTPAdapter, "send", answer)
    assert len(recent()) == IMPORTS
    assert timeouts == [(10, 60)] * 3


@pytest.mark.parametrize(("left", "waited"), [(700, 0), (200, 0), (150, 5), (0, 20)])
def test_requests_slow_down_where_little_of_the_rate_limit_is_left(canvas, rest, recent, waits, left, waited):
    canvas.rest.rate_limit_remaining = left
    recent()
    waits.clear()
    recent()
    assert waits == [waited]


def test_one_request_is_sent_at_a_time(canvas, recent, school):
    for _ in range(200):
        school.create_import()
    recent()
    assert canvas.most_rest_requests_at_once == 1


# Refusals.


def test_a_token_that_was_exchanged_is_read_once_more(recent, secrets):
    secrets[:] = ["hunter2", "double-token"]
    assert len(recent()) == IMPORTS


def test_a_token_that_is_exchanged_between_two_pages_is_read_once_more(canvas, rest, school):
    for _ in range(100):
        school.create_import()
    found = rest.sis_imports(created_since=school.now - timedelta(days=22))
    next(found)
    canvas.faults.switch_on(Fault("credentials refused"))
    assert len(list(found)) == IMPORTS + 99


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_ends_the_run(canvas, recent, monkeypatch, status):
    from aiohttp import web

    monkeypatch.setattr(canvas.rest, "refuse", lambda _: web.Response(status=status, text="hunter2"))
    with pytest.raises(CredentialsRefused) as raised:
        recent()
    assert str(raised.value) == (
        f"Canvas does not accept the token in canvas-token for SIS imports (status {status}). "
        "Store a token there of a user who may import or manage SIS data."
    )


def test_an_account_that_the_token_cannot_see_ends_the_run(recent, monkeypatch, canvas, secrets, school):
    monkeypatch.setenv("ROOT_ACCOUNT_ID", "21070000000000009")
    with pytest.raises(AccountNotEnabled, match="no root account 9: correct root_account_id or canvas_url"):
        list(canvas_rest().sis_imports(created_since=school.now))


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_an_answer_without_its_date_orders_nothing(canvas, recent, monkeypatch, date):
    headers = canvas.rest.headers()
    monkeypatch.setattr(canvas.rest, "headers", lambda: headers | {"Date": date or ""})
    with pytest.raises(TemporaryFailure, match="has no Date"):
        recent()


# Privacy.


def test_the_token_is_sent_to_canvas_and_to_nobody_else(canvas, rest, monkeypatch, school):
    # GIVEN a proxy and a password file in the environment, and a redirect to another host
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:8080")
    from aiohttp import web

    monkeypatch.setattr(
        canvas.rest, "refuse", lambda _: web.Response(status=302, headers={"Location": "http://elsewhere.example/"})
    )
    sent = []
    send = HTTPAdapter.send

    def recorded(self, request, **options):
        sent.append(request)
        return send(self, request, **options)

    monkeypatch.setattr(HTTPAdapter, "send", recorded)
    with only_this_machine(), pytest.raises(requests.ConnectionError):
        rest.sis_import(1)
    assert [("Authorization" in request.headers, request.url.split("/")[2]) for request in sent] == [
        (True, canvas.url.split("/")[2]),
        (False, "elsewhere.example"),
    ]


def test_the_client_writes_no_log(canvas, recent, caplog):
    caplog.set_level(logging.DEBUG)
    canvas.faults.switch_on(Fault("server error"))
    recent()
    assert [record for record in caplog.records if record.name.startswith(("canvasapi", "urllib3", "requests"))] == []
