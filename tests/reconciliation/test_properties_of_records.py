"""Properties of records: an event and a row of Canvas Data 2 of one record are equal in any notation."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.canvas.fields import format_timestamp
from functions.canvas.ids import IDS_PER_SHARD
from reconciliation.comparison import ITEM_ATTRIBUTES, compare
from reconciliation.imports import SisImportAnswer, StoredImport, import_version_time, judge_import
from reconciliation.judgement import Result, User, judge
from reconciliation.rows import Row, read_row
from reconciliation.verdict import Verdict
from testbed.canvas import live_events
from testbed.canvas.lake import KEY_OF
from testbed.canvas.live_events import seconds
from testbed.canvas.rows import Course, Enrollment, EnrollmentState, SisImport
from testbed.canvas.rows import User as CanvasUser
from testbed.engines import moto_engine
from testbed.reconciliation.stage import local_stage

SHARD, ROOT = 2107, "21070000000000001"
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
BEFORE, AFTER = NOON - timedelta(days=3), NOON + timedelta(days=3)
ENROLLMENT_ID = 46_801

examples = settings(max_examples=20, suppress_health_check=list(HealthCheck))

local_ids = st.integers(1, 10**6)
foreign_ids = local_ids.map(lambda number: 2108 * IDS_PER_SHARD + number)
own_global_ids = local_ids.map(lambda number: SHARD * IDS_PER_SHARD + number)
moments = st.integers(0, 10**14).map(lambda past: NOON - timedelta(days=9, microseconds=past))
states = st.sampled_from(
    ["active", "invited", "creation_pending", "deleted", "inactive", "completed", "invented_later"]
)
flags = st.sampled_from([None, False, True])
names = st.sampled_from(["Ada Lovelace", "Søren Ångström", "王", 'O\'Neil "Q" \\ ☃'])
roles = st.sampled_from(
    ["StudentEnrollment", "ObserverEnrollment", "StudentViewEnrollment", "TeacherEnrollment", "DesignerEnrollment"]
)

enrollments = st.builds(
    Enrollment,
    id=st.just(ENROLLMENT_ID),
    course_id=local_ids,
    course_section_id=local_ids,
    user_id=local_ids | foreign_ids | own_global_ids,
    type=roles,
    role_id=st.just(3),
    workflow_state=states,
    associated_user_id=st.none() | local_ids | foreign_ids,
    limit_privileges_to_course_section=flags,
    last_activity_at=st.none() | moments,
    created_at=moments,
    updated_at=moments,
)
enrollment_states = st.builds(
    EnrollmentState,
    enrollment_id=st.just(ENROLLMENT_ID),
    state=st.none() | states,
    state_started_at=st.none() | moments,
    state_valid_until=st.none() | moments,
    state_is_current=st.booleans(),
    restricted_access=st.booleans(),
    access_is_current=st.booleans(),
    updated_at=st.none() | moments,
)
records = enrollments | enrollment_states


@pytest.fixture(scope="module", params=["dynamodb-local", "moto"])
def stage(request, prod, tmp_path_factory):
    """Each engine in turn."""
    if request.param == "dynamodb-local":
        with local_stage(prod.data, tmp_path_factory.mktemp("dynamodb-local") / "log") as stage:
            yield stage
    else:
        with moto_engine(prod.data) as stage:
            yield stage


def table_of(record):
    return "enrollments" if isinstance(record, Enrollment) else "enrollment_states"


def user_of(record, name="Ada Lovelace"):
    return CanvasUser(
        id=record.user_id, name=name, sortable_name="", uuid=f"user-{name}", created_at=NOON, updated_at=NOON
    )


def course_of(record):
    return Course(id=record.course_id, name="", uuid=f"course-{record.course_id}", created_at=NOON, updated_at=NOON)


@st.composite
def events(draw, record, event_time, *, uuids):
    """Draw an event of `record`, in any notation."""
    if isinstance(record, Enrollment):
        course = course_of(record) if uuids else None
        body = live_events.enrollment_body(record, user_of(record), course, shard=SHARD)
        name = draw(st.sampled_from(["enrollment_created", "enrollment_updated"]))
    else:
        body = live_events.enrollment_state_body(record, shard=SHARD)
        name = draw(st.sampled_from(["enrollment_state_created", "enrollment_state_updated"]))
    body = {
        column: int(value) if column.endswith("_id") and value is not None and draw(st.booleans()) else value
        for column, value in body.items()
        if value is not None or draw(st.booleans())
    }
    metadata = {"event_name": name, "event_time": event_time.isoformat(), "producer": "canvas"}
    return {"metadata": metadata, "body": body}


@st.composite
def lines(draw, record):
    """Draw a line of Canvas Data 2 of `record`, in any notation."""
    key = KEY_OF[table_of(record)]
    digits = draw(st.sampled_from([0, 3, 6]))

    def spelled(name, value):
        if isinstance(value, datetime):
            text = value.strftime("%Y-%m-%dT%H:%M:%S.%f")[: 19 + (digits and digits + 1)]
            return text + draw(st.sampled_from(["Z", "+00:00"]))
        return str(value) if name.endswith("id") and draw(st.booleans()) else value

    columns = {field.name: getattr(record, field.name) for field in fields(record) if field.name != key}
    value = {
        name: None if content is None else spelled(name, content)
        for name, content in columns.items()
        if content is not None or draw(st.booleans())
    }
    meta = {"ts": "2024-03-02T00:00:00Z"} | draw(st.sampled_from([{}, {"action": "U"}]))
    return json.dumps({"key": {key: spelled(key, ENROLLMENT_ID)}, "value": value, "meta": meta}).encode()


def rows(data, record):
    """Draw two notations of `record`, read as rows."""
    found = [read_row(data.draw(lines(record)), table_of(record), shard=SHARD) for _ in range(2)]
    assert all(isinstance(row, Row) for row in found)
    return found


def item_for(stage, record):
    """Item of `record` with the attributes that a run reads."""
    enrollments, _ = stage.contents()
    item = enrollments.get((f"{SHARD}{ENROLLMENT_ID:013}",))
    return item and {name: item[name] for name in ITEM_ATTRIBUTES[table_of(record)] if name in item}


def result(*, number, as_of=NOON, at=AFTER):
    return Result(
        at=format_timestamp(at),
        as_of=format_timestamp(as_of),
        number=number,
        now=format_timestamp(AFTER),
        root_account_id=ROOT,
    )


def judged(row, item, *, number, user=None):
    """Judgement of a run on `row`, `None` where it is the same. With `user`, the run is a full one."""
    candidate = compare(row, item, full=user is not None)
    return candidate and judge(candidate, result(number=number), user=user)


@examples
@given(data=st.data(), record=records, uuids=st.booleans())
def test_a_row_is_the_same_as_the_item_that_its_event_made(stage, data, record, uuids):
    # GIVEN the item of an event
    stage.clear()
    assert stage.deliver(data.draw(events(record, BEFORE, uuids=uuids))) == "Applied"
    item = item_for(stage, record)

    for row in rows(data, record):
        # THEN no run finds a difference in compared attributes
        assert compare(row, item, full=False) is None

        # AND a full run finds none in the names, except for a UUID that older Canvas did not send
        if isinstance(record, Enrollment):
            known = User(user_of(record).name, user_of(record).uuid if uuids else None)
            for user in (known, User(None, None)):
                assert judged(row, item, number=7, user=user).verdict == Verdict.SAME


@examples
@given(data=st.data(), pair=st.tuples(enrollments, enrollments) | st.tuples(enrollment_states, enrollment_states))
@pytest.mark.parametrize("full", [False, True], ids=["incremental", "full"])
def test_after_a_correction_every_spelling_of_its_row_is_the_same(stage, data, full, pair):
    # GIVEN an item with other content, without this family, or that does not exist
    stage.clear()
    stored, record = pair
    before = data.draw(st.sampled_from(["something else", "another family", "nothing"]))
    if before == "something else":
        stage.deliver_batch([data.draw(events(stored, BEFORE, uuids=data.draw(st.booleans())))])
    elif before == "another family":
        other = enrollments if isinstance(record, EnrollmentState) else enrollment_states
        stage.deliver_batch([data.draw(events(data.draw(other), BEFORE, uuids=False))])
    user = None
    if full and isinstance(record, Enrollment):
        known = data.draw(st.sampled_from(["name and uuid", "name", "nothing"]))
        person = user_of(record, data.draw(names))
        user = User(person.name if "name" in known else None, person.uuid if "uuid" in known else None)

    # WHEN a run publishes a correction
    row, again = rows(data, record)
    judgement = judged(row, item_for(stage, record), number=7, user=user)
    if judgement is None or judgement.correction is None:
        assert before == "something else"  # equal by chance
        return
    message = json.loads(judgement.correction.to_json())
    assert stage.deliver(message) == "Applied"

    # THEN no run finds a difference in any notation of the row, and the same run none in the names
    corrected = item_for(stage, record)
    for spelled in (row, again, *rows(data, record)):
        assert compare(spelled, corrected, full=False) is None
        after = judged(spelled, corrected, number=8, user=user)
        assert after is None or (after.verdict == Verdict.SAME and after.correction is None)

    # AND a second delivery changes nothing
    assert stage.deliver(message) == "Duplicate"
    assert item_for(stage, record) == corrected


STATES_OF_IMPORTS = (
    *("initializing", "created", "importing", "cleanup_batch", "imported", "imported_with_messages", "aborted"),
    *("failed", "failed_with_messages", "restoring", "partially_restored", "restored", "invented_later"),
)


@examples
@given(
    states=st.tuples(st.sampled_from(STATES_OF_IMPORTS), st.sampled_from(STATES_OF_IMPORTS)),
    ended=st.none() | st.integers(-9, 9).map(lambda hours: NOON - timedelta(hours=hours)),
    updated=st.integers(0, 10**6).map(lambda past: NOON - timedelta(milliseconds=past)),
    said_at=st.none() | st.integers(1, 10**6).map(lambda past: NOON - timedelta(milliseconds=past)),
)
def test_after_a_correction_an_import_is_the_same_and_a_second_one_changes_nothing(
    stage, states, ended, updated, said_at
):
    # GIVEN an import in one state in Canvas, and in another or missing in the table
    stage.clear()
    in_canvas, in_table = states
    row = SisImport(id=9, workflow_state=in_canvas, created_at=BEFORE, ended_at=ended, updated_at=updated)
    answer = SisImportAnswer(
        sis_batch_id=row.id, workflow_state=in_canvas, ended_at=seconds(ended), updated_at=seconds(updated)
    )
    if said_at is not None:
        metadata = {"event_name": "sis_batch_updated", "event_time": said_at.isoformat(), "root_account_id": ROOT}
        body = live_events.sis_batch_body(replace(row, workflow_state=in_table), 1)
        stage.deliver_batch([{"metadata": metadata, "body": body}])

    def stored():
        _, imports = stage.contents()
        item = imports.get((ROOT, str(row.id)))
        return item and StoredImport(item["workflow_state"], item["event_time"])

    def judged(number):
        version_time = import_version_time(NOON + timedelta(minutes=1), timedelta(seconds=1), number=number)
        now = format_timestamp(AFTER)
        return judge_import(answer, stored(), version_time=version_time, now=now, root_account_id=ROOT)

    # WHEN a run publishes a correction where they differ
    judgement = judged(7)
    assert (judgement.verdict == Verdict.SAME) == (said_at is not None and in_table == in_canvas)
    if judgement.verdict == Verdict.SAME:
        return
    message = json.loads(judgement.correction.to_json())
    assert stage.deliver(message) == "Applied"

    # THEN both states are equal
    corrected = stored()
    assert judged(8).verdict == Verdict.SAME
    assert stage.deliver(message) == "Duplicate"
    assert stored() == corrected
