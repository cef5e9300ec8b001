"""The real clients against the test double of Canvas: their results, and their errors for each fault."""

import asyncio
import gzip
import json
import subprocess
import sys
import threading
import zlib
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.error import HTTPError

import aiohttp
import pytest
import requests
from canvasapi import Canvas  # type: ignore[import-untyped]
from canvasapi.exceptions import (  # type: ignore[import-untyped]
    CanvasException,
    Forbidden,
    InvalidAccessToken,
    RateLimitExceeded,
    ResourceDoesNotExist,
)
from dap.api import DAPClient
from dap.dap_error import (
    AccountUnderMaintenanceError,
    AuthenticationError,
    NotFoundError,
    OutOfRangeError,
    RequestTypeForbiddenError,
    ServerError,
    ValidationError,
)
from dap.dap_types import Credentials, FailedJob, Format, IncrementalQuery, JobStatus, SnapshotQuery

from testbed.canvas.building import school_of
from testbed.canvas.control import Control
from testbed.canvas.faults import Fault, FaultKind
from testbed.canvas.lake import Lake
from testbed.canvas.server import running_canvas
from testbed.network import only_this_machine

pytestmark = pytest.mark.filterwarnings("ignore:Canvas may respond unexpectedly:UserWarning")

SNAPSHOT = SnapshotQuery(format=Format.JSONL, mode=None)
HOUR = timedelta(hours=1)


@pytest.fixture
def school():
    return school_of(120)


@pytest.fixture
def canvas(school):
    with running_canvas(school, lake=Lake(school, lag=timedelta(0))) as canvas:
        canvas.dap.polls = 0
        yield canvas


@asynccontextmanager
async def dap_session(canvas, *, secret=None, tracking=False):
    secret = secret or canvas.credentials.client_secret
    credentials = Credentials.create(client_id=canvas.credentials.client_id, client_secret=secret)
    async with DAPClient(canvas.url, credentials, tracking=tracking) as session:
        yield session


def dap(canvas, call, **options):
    """Result of `call(session)` in a new session."""

    async def run():
        async with dap_session(canvas, **options) as session:
            return await call(session)

    return asyncio.run(run())


def since(canvas, moment):
    return lambda session: session.query_incremental(
        "canvas", "enrollments", IncrementalQuery(format=Format.JSONL, mode=None, since=moment, until=None)
    )


def snapshot(table="enrollments"):
    return lambda session: session.query_snapshot("canvas", table, SNAPSHOT)


async def lines_of(session, objects):
    lines = []
    for each in objects:
        resource = (await session.get_resources([each]))[each.id]
        async for stream in session.stream_resource(resource):
            lines += gzip.decompress(await stream.read()).splitlines()
    return lines


def result(canvas, query):
    """Records of the result of a query."""

    async def run(session):
        job = await query(session)
        return await lines_of(session, await session.get_objects(job.id))

    return [json.loads(line) for line in dap(canvas, run)]


def account(canvas, token=None):
    return Canvas(canvas.url, token or canvas.credentials.token).get_account(1)


# Canvas Data 2


def test_a_snapshot_is_every_row_in_several_parts(canvas, school):
    # GIVEN objects with fifty rows each
    canvas.dap.rows_per_part = 50

    # WHEN the client queries a snapshot
    job = dap(canvas, snapshot())
    records = result(canvas, snapshot())

    # THEN the parts have every row once
    assert len(job.objects) == 3
    assert job.at == canvas.lake.at("enrollments")
    assert [record["key"]["id"] for record in records] == list(school.enrollments.history)


def test_an_incremental_query_returns_what_was_loaded_since(canvas, school):
    # GIVEN a snapshot, and then a silent deletion of one row and the removal of another
    at = dap(canvas, snapshot()).at
    removed, deleted = list(school.enrollments.history)[:2]
    school.hard_delete([removed])
    school.sis_delete([deleted])
    school.now += HOUR
    canvas.lake.load()

    # WHEN the client queries changes since the snapshot
    job = dap(canvas, since(canvas, at))
    actions = {record["key"]["id"]: record["meta"]["action"] for record in result(canvas, since(canvas, at))}

    # THEN it gets both, and the next query starts where this one ended
    assert actions == {removed: "D", deleted: "U"}
    assert (job.since, job.until) == (at, canvas.lake.at("enrollments"))
    assert result(canvas, since(canvas, job.until)) == []


def test_a_job_waits_runs_and_completes(canvas):
    canvas.dap.polls = 2

    async def statuses(session):
        job = await session.query_snapshot("canvas", "users", SNAPSHOT)
        return [job.status, (await session.get_job(job.id)).status, (await session.get_job(job.id)).status]

    assert dap(canvas, statuses) == [JobStatus.Waiting, JobStatus.Running, JobStatus.Complete]


def test_the_same_query_within_a_day_is_the_old_job_with_its_old_time(canvas, school):
    # GIVEN a job and a later load
    first = dap(canvas, snapshot())
    school.now += 23 * HOUR
    canvas.lake.load()

    # THEN the same query is the same job, another query is another job, and after a day it is a new one
    assert dap(canvas, snapshot()).id == first.id
    assert dap(canvas, snapshot()).at == first.at < canvas.lake.at("enrollments")
    assert dap(canvas, snapshot("users")).id != first.id
    school.now += 2 * HOUR
    assert dap(canvas, snapshot()).at > first.at
    with pytest.raises(NotFoundError):
        dap(canvas, lambda session: session.get_job(first.id))


def test_tables_have_names_and_a_schema(canvas):
    tables = dap(canvas, lambda session: session.get_tables("canvas"))
    assert {"enrollments", "enrollment_states", "users"} <= set(tables)
    assert "sis_batches" not in tables
    schema = dap(canvas, lambda session: session.get_table_schema("canvas", "enrollment_states"))
    assert "state_valid_until" in schema.schema["properties"]["value"]["properties"]
    with pytest.raises(NotFoundError):
        dap(canvas, lambda session: session.get_table_schema("canvas", "sis_batches"))
    with pytest.raises(NotFoundError):
        dap(canvas, snapshot("sis_batches"))


def test_another_format_is_a_validation_error(canvas):
    query = SnapshotQuery(format=Format.TSV, mode=None)
    with pytest.raises(ValidationError):
        dap(canvas, lambda session: session.query_snapshot("canvas", "users", query))


REFUSED = {
    "credentials refused": AuthenticationError,
    "invalid client": ServerError,
    "under maintenance": AccountUnderMaintenanceError,
    "snapshots forbidden": RequestTypeForbiddenError,
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refusal_is_the_client_s_error_for_it_and_ends(canvas, kind):
    canvas.faults.switch_on(Fault(kind))
    with pytest.raises(REFUSED[kind]):
        dap(canvas, snapshot())
    assert dap(canvas, snapshot()).status is JobStatus.Complete


def test_wrong_credentials_and_calls_without_a_login_are_refused(canvas):
    with pytest.raises(AuthenticationError):
        dap(canvas, snapshot(), secret="wrong")
    assert requests.get(f"{canvas.url}/dap/query/canvas/table", timeout=5).status_code == 401


@pytest.mark.parametrize("kind", ["too many requests", "server error", "disconnect"])
def test_the_client_tries_again_after_a_passing_fault(canvas, kind):
    canvas.faults.switch_on(Fault(kind, where="/data"))
    assert dap(canvas, snapshot()).status is JobStatus.Complete
    statuses = [each.status for each in canvas.requests if each.path.endswith("/data")]
    assert statuses == [{"too many requests": 429, "server error": 503, "disconnect": 0}[kind], 200]


def test_a_lasting_fault_reaches_the_caller_until_it_is_cleared(canvas):
    canvas.faults.switch_on(Fault("too many requests", times=None))
    with pytest.raises(ServerError):
        dap(canvas, snapshot())
    canvas.faults.clear()
    assert dap(canvas, snapshot()).status is JobStatus.Complete


def test_the_error_of_a_time_out_of_range_has_the_permitted_one(canvas, school):
    canvas.dap.earliest_since = school.now - timedelta(days=20)
    with pytest.raises(OutOfRangeError) as error:
        dap(canvas, since(canvas, school.now - timedelta(days=22)))
    assert error.value.since == canvas.dap.earliest_since
    assert dap(canvas, since(canvas, error.value.since)).status is JobStatus.Complete


def test_a_required_snapshot_is_the_client_s_out_of_range_error_with_another_type(canvas, school):
    # Both errors have the same fields, and the client chooses the first match.
    canvas.faults.switch_on(Fault("snapshot required"))
    assert dap(canvas, snapshot()).status is JobStatus.Complete
    with pytest.raises(OutOfRangeError) as error:
        dap(canvas, since(canvas, school.now - timedelta(days=22)))
    assert error.value.type == "SnapshotRequired"


def test_a_job_can_fail_and_the_next_query_is_a_new_one(canvas):
    canvas.faults.switch_on(Fault("job fails"))
    failed = dap(canvas, snapshot())
    assert isinstance(failed, FailedJob)
    assert dap(canvas, snapshot()).id != failed.id


def test_a_job_can_run_without_end(canvas):
    canvas.faults.switch_on(Fault("job never completes"))
    job = dap(canvas, snapshot())
    for _ in range(5):
        assert dap(canvas, lambda session: session.get_job(job.id)).status is JobStatus.Running


FILE_FAULTS: dict[FaultKind, type[Exception] | tuple[type[Exception], ...]] = {
    "object vanished": NotFoundError,
    "url expired": aiohttp.ClientResponseError,
    "gzip truncated": EOFError,
    "gzip corrupt": (zlib.error, gzip.BadGzipFile, EOFError),
}


@pytest.mark.parametrize("kind", FILE_FAULTS)
def test_a_part_can_be_gone_or_broken_and_is_whole_the_next_time(canvas, kind, school):
    canvas.faults.switch_on(Fault(kind, where="part-00000"))
    with pytest.raises(FILE_FAULTS[kind]) as error:
        result(canvas, snapshot())
    if kind == "url expired":
        assert isinstance(error.value, aiohttp.ClientResponseError)
        assert error.value.status == 403
    assert len(result(canvas, snapshot())) == len(school.enrollments.history)


def test_a_pre_signed_url_takes_no_other_credentials(canvas):
    job = dap(canvas, snapshot())
    url = dap(canvas, lambda session: session.get_resources(job.objects))[job.objects[0].id].url.url
    assert requests.get(url, timeout=5).status_code == 200
    assert requests.get(url, headers={"Authorization": "Bearer x"}, timeout=5).status_code == 400
    assert requests.get(url.partition("?")[0], timeout=5).status_code == 403
    assert requests.get(url.replace("part-00000", "part-00009"), timeout=5).status_code == 404


def test_unreadable_rows_are_served_among_good_ones(canvas, school):
    keys = list(school.enrollments.history)
    canvas.lake.spoil("enrollments", keys[5], "not JSON")

    async def run(session):
        job = await session.query_snapshot("canvas", "enrollments", SNAPSHOT)
        return await lines_of(session, job.objects)

    lines = dap(canvas, run)
    assert len(lines) == len(keys)
    with pytest.raises(json.JSONDecodeError):
        json.loads(lines[5])


def test_no_request_leaves_this_machine_unless_the_client_reports_its_use(canvas):
    # GIVEN a process without access to other hosts
    with only_this_machine() as refused:
        # WHEN the client is used with and without tracking
        dap(canvas, snapshot())
        account(canvas)
        silent = list(refused)
        dap(canvas, snapshot(), tracking=True)

    # THEN only tracking looks up another host
    assert silent == []
    assert refused


# REST


def test_imports_come_page_by_page_newest_first(canvas, school):
    # WHEN the client lists the imports, ten per page
    imports = list(account(canvas).get_sis_imports(per_page=10))

    # THEN it follows the links through three pages
    assert [each.id for each in imports] == sorted(school.sis_imports.history, reverse=True)
    pages = [each.path for each in canvas.requests if "sis_imports" in each.path]
    assert len(pages) == 3


def test_imports_are_filtered_by_creation_and_state(canvas, school):
    newest = max(school.sis_imports.rows(), key=lambda row: row.created_at)
    aborted = school.create_import()
    school.abort_import(aborted)
    root = account(canvas)
    assert [each.id for each in root.get_sis_imports(created_since=newest.created_at)] == [aborted]
    assert [each.id for each in root.get_sis_imports(workflow_state=["aborted", "restored"])] == [aborted]
    assert list(root.get_sis_imports(created_since=school.now)) == []


def test_an_import_is_found_by_its_id_with_times_in_whole_seconds(canvas, school):
    number = max(school.sis_imports.history)
    found, row = account(canvas).get_sis_import(number), school.sis_imports[number]
    assert found.workflow_state == row.workflow_state
    assert found.ended_at == row.ended_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert row.ended_at.microsecond
    school.purge_import(number)
    with pytest.raises(ResourceDoesNotExist):
        account(canvas).get_sis_import(number)


def test_an_enrollment_of_a_deleted_course_is_shown_as_deleted_from_a_replica(canvas, school):
    # GIVEN a course that was deleted a minute ago
    row = next(row for row in school.enrollments.rows() if row.workflow_state == "active")
    test_student = school.enroll_test_student(row.course_section_id)
    school.delete_course(row.course_id)
    school.now += timedelta(minutes=1)

    # THEN all its enrollments are deleted, those of test students included
    assert account(canvas).get_enrollment(row.id).enrollment_state == "deleted"
    assert account(canvas).get_enrollment(school.global_id(test_student)).type == "StudentViewEnrollment"

    # AND a lagging replica does not have all of these changes
    canvas.rest.replica_lag = timedelta(hours=1)
    with pytest.raises(ResourceDoesNotExist):
        account(canvas).get_enrollment(test_student)


def test_only_the_root_account_is_there_by_its_local_or_global_id(canvas, school):
    client = Canvas(canvas.url, canvas.credentials.token)
    assert [client.get_account(name).id for name in (1, school.root_account_id)] == [1, 1]
    with pytest.raises(ResourceDoesNotExist):
        client.get_account(2)


def test_every_answer_has_the_school_s_time_and_the_rest_of_the_rate_limit(canvas, school):
    canvas.rest.rate_limit_remaining = 150.5
    answer = requests.get(
        f"{canvas.url}/api/v1/accounts/1/sis_imports",
        headers={"Authorization": f"Bearer {canvas.credentials.token}"},
        timeout=5,
    )
    assert parsedate_to_datetime(answer.headers["Date"]) == school.now.replace(microsecond=0)
    assert answer.headers["X-Rate-Limit-Remaining"] == "150.5"
    assert answer.links["next"]["url"].startswith(f"{canvas.url}/api/v1/accounts/1/sis_imports?")


REST_FAULTS = {
    "credentials refused": InvalidAccessToken,
    "rate limit exceeded": Forbidden,
    "too many requests": RateLimitExceeded,
    "server error": CanvasException,
    "disconnect": requests.ConnectionError,
}


@pytest.mark.parametrize("kind", REST_FAULTS)
def test_a_fault_of_rest_is_the_client_s_error_for_it_and_ends(canvas, kind):
    canvas.faults.switch_on(Fault(kind, where="/api/", retry_after=7))
    with pytest.raises(REST_FAULTS[kind]):
        account(canvas)
    assert account(canvas).id == 1


def test_a_wrong_token_is_refused(canvas):
    with pytest.raises(InvalidAccessToken):
        account(canvas, token="wrong")


def test_requests_at_the_same_time_are_seen(canvas):
    # GIVEN sequential requests
    account(canvas)
    account(canvas)
    assert canvas.most_rest_requests_at_once == 1

    # WHEN two clients send concurrent requests
    canvas.seconds_of_a_request = 0.3
    together = threading.Barrier(2)

    def ask():
        together.wait()
        account(canvas)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # THEN the maximum is two
    assert canvas.most_rest_requests_at_once == 2


# The server and its control API


def test_the_double_stops_completely_and_raises_where_its_port_is_in_use(school):
    with running_canvas(school) as canvas:
        port = int(canvas.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), running_canvas(school, port=port):
            pass
        with requests.Session() as session:  # keeps its connection open
            session.get(f"{canvas.url}/control/summary", timeout=5)
    assert "canvas-double" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(requests.ConnectionError):
        requests.get(canvas.url, timeout=5)


def test_a_demo_deletes_a_course_silently_and_lets_the_lake_show_it(canvas):
    # GIVEN the course with the most active enrollments, after all events were taken
    control = Control(canvas.url)
    assert len(control.take_events(limit=10)) == 10
    announced = control.take_events()
    assert len(announced) == control.summary()["events"] - 10
    course = control.course()

    # WHEN it is deleted, and Canvas Data 2 is loaded
    deleted = control.delete_course(course["course_id"])
    times = control.advance(hours=6)

    # THEN all its enrollments are deleted in Canvas and in Canvas Data 2, without events
    roster = control.course(course["course_id"])["roster"]
    assert {(member["workflow_state"], member["state"]) for member in roster} == {("deleted", "deleted")}
    assert deleted == sum(member["workflow_state"] != "deleted" for member in course["roster"])
    assert control.take_events() == []
    assert datetime.fromisoformat(times["at"]) == dap(canvas, snapshot()).at
    shown = {canvas.school.global_id(row["key"]["id"]): row["value"] for row in result(canvas, snapshot())}
    assert {shown[member["enrollment_id"]]["workflow_state"] for member in roster} == {"deleted"}


def test_faults_are_switched_by_the_control_api(canvas):
    control = Control(canvas.url)
    control.switch_on("credentials refused", times=None, where="/api/")
    with pytest.raises(InvalidAccessToken):
        account(canvas)
    control.clear_faults()
    assert account(canvas).id == 1
    with pytest.raises(HTTPError):
        control.switch_on("no such fault")  # type: ignore[arg-type]


def test_the_control_api_rejects_unknown_courses(canvas):
    control = Control(canvas.url)
    for call in (control.course, control.delete_course):
        with pytest.raises(HTTPError):
            call("21070000000000001")


def test_time_moves_no_further_than_the_real_time(canvas):
    # GIVEN a school whose clock is one day behind
    control = Control(canvas.url)
    before = control.summary()["now"]

    # WHEN the clock is advanced by two days, and then by one more
    reached = control.advance(hours=48)["now"]

    # THEN it advances by one day, and Canvas Data 2 is loaded
    elapsed = datetime.fromisoformat(reached) - datetime.fromisoformat(before)
    assert timedelta(hours=23) < elapsed < timedelta(hours=48)
    at = canvas.lake.at("enrollments")
    control.advance(hours=24)
    assert canvas.lake.at("enrollments") > at


def test_the_double_runs_as_a_process_until_sigterm(tmp_path):
    # WHEN it is started
    state = tmp_path / "canvas.json"
    command = [sys.executable, "-m", "testbed.canvas", "--port", "0", "--state", str(state), "--enrollments", "50"]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        assert process.stderr
        url = process.stdout.readline().strip()
        assert url, process.stderr.read()

        # THEN its state file has its URL
        assert json.loads(state.read_text()) == {"url": url, "pid": process.pid}
        assert sum(Control.of(state).summary()["enrollments"].values()) == 50
    finally:
        process.terminate()

    # AND it exits with status 0 and removes the file
    assert (process.communicate(timeout=30)[1], process.returncode) == ("", 0)
    assert not state.exists()
