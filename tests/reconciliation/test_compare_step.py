"""Step compare: equal rows are counted only, unreadable ones are unknown, and a repetition changes nothing."""

import gzip
import json

import pytest

from functions.runtime import setting
from reconciliation.aws import aws_client
from reconciliation.failure import PartUnreadable
from reconciliation.handlers import compare as module
from reconciliation.rows import read_row
from testbed.canvas.faults import Fault
from testbed.canvas.lake import UNREADABLE
from tests.reconciliation.machine import keys


def read(key):
    """Header and candidates of a file."""
    content = aws_client("s3").get_object(Bucket=setting("RUN_BUCKET"), Key=key)["Body"].read()
    header, *lines = gzip.decompress(content).splitlines()
    return json.loads(header), [json.loads(line) for line in lines]


@pytest.fixture
def compared(machine):
    """Run the step, and return header and candidates of each file by name."""

    def compared(name="a", **options):
        machine.compare(name, **options)
        prefix = f"runs/{name}/compared/"
        return {key.removeprefix(prefix): read(key) for key in keys(prefix)}

    return compared


def test_rows_whose_items_are_missing_are_candidates(cloud, canvas, compared, school):
    files = compared(full=True)
    header, candidates = files["enrollments/00000-000000.jsonl.gz"]
    assert header["rows"] == len(candidates) == 40
    assert header["verdicts"] == {}
    assert {each["enrollment_id"] for each in candidates} == {school.global_id(e.id) for e in school.enrollments.rows()}
    assert all(each["item"] is None and each["differs"] for each in candidates)
    columns = [json.loads(line)["value"] for line in canvas.lake.snapshot("enrollments")]
    newest = max(c[name] for c in columns for name in ("last_activity_at", "updated_at", "created_at") if name in c)
    assert header["newest"] == newest.replace("Z", "000Z")


def test_rows_that_equal_their_items_leave_no_trace(cloud, canvas, compared, school):
    # GIVEN tables with all events of Canvas
    cloud.deliver(school.take_events())

    # WHEN changed rows are compared, THEN they are counted, and no candidate is written
    for header, candidates in compared().values():
        assert header["verdicts"] == {"same": header["rows"]}
        assert candidates == []


def test_a_full_run_keeps_equal_enrollments_until_names_are_known(cloud, canvas, compared, school):
    cloud.deliver(school.take_events())
    files = compared(full=True)
    assert len(files["enrollments/00000-000000.jsonl.gz"][1]) == 40
    assert files["enrollment_states/00000-000000.jsonl.gz"][1] == []


def test_rows_that_differ_are_candidates_with_what_the_item_has(cloud, canvas, compared, school):
    cloud.deliver(school.take_events())
    course = next(school.enrollments.rows()).course_id
    school.delete_courses([course])
    canvas.lake.lag = school.now - school.now
    canvas.lake.load()
    canvas.lake.load()
    _, candidates = compared()["enrollments/00000-000000.jsonl.gz"]
    assert candidates
    assert {each["body"]["course_id"] for each in candidates} == {school.global_id(course)}
    assert all(each["item"]["event_time"] and each["item"]["user_name"] for each in candidates)


def test_unreadable_rows_are_counted_and_disturb_no_other(cloud, canvas, compared, school):
    # GIVEN a row of each unreadable kind in both tables
    spoiled = dict(zip(UNREADABLE, (row.id for row in school.enrollments.rows()), strict=False))
    assert len(spoiled) == len(UNREADABLE)
    for table in ("enrollments", "enrollment_states"):
        for kind, row in spoiled.items():
            canvas.lake.spoil(table, row, kind)

    # WHEN all rows are compared, THEN each is counted once, as unknown unless its kind is an equal notation
    for header, candidates in compared(full=True).values():
        assert header["rows"] == 40
        assert set(header["verdicts"]) == {"unknown"}
        assert len(candidates) == 40 - header["verdicts"]["unknown"]
        assert len(UNREADABLE) / 2 < header["verdicts"]["unknown"] <= len(UNREADABLE)


def test_rows_of_which_none_can_be_read_ask_for_no_item(cloud, canvas, compared, school, monkeypatch):
    monkeypatch.setattr(module, "KEYS_PER_REQUEST", 1)
    monkeypatch.setattr(module, "read_items", lambda *_: pytest.fail("asked"))
    for row in school.enrollments.rows():
        for table in ("enrollments", "enrollment_states"):
            canvas.lake.spoil(table, row.id, "empty line")
    assert [header["verdicts"] for header, _ in compared(full=True).values()] == [{"unknown": 40}] * 2


@pytest.mark.parametrize("placeholder", ["__dap_unspecified__", "__cd2_oversized_truncated__"])
def test_a_row_with_a_placeholder_is_unknown(cloud, canvas, compared, school, placeholder):
    row = next(school.enrollments.rows())
    canvas.lake.mask("enrollments", row.id, workflow_state=placeholder)
    canvas.lake.mask("enrollment_states", row.id, state=placeholder)
    assert [header["verdicts"] for header, _ in compared(full=True).values()] == [{"unknown": 1}] * 2


def test_a_row_that_is_too_long_is_unknown(cloud, canvas, compared, school):
    row = next(school.enrollments.rows())
    canvas.lake.mask("enrollments", row.id, grade_publishing_status="x" * 100_000)
    assert compared(full=True)["enrollments/00000-000000.jsonl.gz"][0]["verdicts"] == {"unknown": 1}


def test_a_row_that_was_deleted_for_good_is_gone(cloud, canvas, compared, school):
    cloud.deliver(school.take_events())
    row = next(school.enrollments.rows())
    school.hard_delete([row.id])
    canvas.lake.lag = school.now - school.now
    canvas.lake.load()
    canvas.lake.load()
    assert [header["verdicts"]["gone"] for header, _ in compared().values()] == [1, 1]


def test_a_part_is_compared_in_chunks_of_one_object_each(cloud, canvas, compared, monkeypatch, machine):
    # GIVEN parts of 25 rows, chunks of 10, and requests of 4 keys
    canvas.dap.rows_per_part = 25
    monkeypatch.setattr(module, "ROWS_PER_CHUNK", 10)
    monkeypatch.setattr(module, "KEYS_PER_REQUEST", 4)

    # WHEN each invocation has time for one chunk
    machine.context.milliseconds = 60_000
    files = compared(full=True)

    # THEN no row is lost or compared twice
    names = [name for name in files if name.startswith("enrollments/")]
    assert names[:3] == [
        "enrollments/00000-000000.jsonl.gz",
        "enrollments/00000-000001.jsonl.gz",
        "enrollments/00000-000002.jsonl.gz",
    ]
    ids = [each["enrollment_id"] for name in names for each in files[name][1]]
    assert len(ids) == len(set(ids)) == 40


def test_the_same_chunks_are_written_whatever_the_time_of_an_invocation(cloud, canvas, compared, monkeypatch, machine):
    monkeypatch.setattr(module, "ROWS_PER_CHUNK", 8)
    monkeypatch.setattr(module, "KEYS_PER_REQUEST", 5)
    slow = compared("a", full=True)
    machine.context.milliseconds = 60_000
    machine.doubled = True
    assert compared("b", full=True) == slow
    assert len(slow) == 10


def test_a_part_whose_rows_fill_its_chunks_has_no_empty_one(cloud, canvas, compared, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_CHUNK", 20)
    monkeypatch.setattr(module, "KEYS_PER_REQUEST", 20)
    assert [header["rows"] for header, _ in compared(full=True).values()] == [20] * 4


def test_a_part_without_rows_leaves_nothing(cloud, canvas, compared, monkeypatch):
    monkeypatch.setattr(canvas.lake, "incremental", lambda *_: iter(()))
    assert compared() == {}


def test_two_rows_of_one_enrollment_are_read_with_one_key(cloud, canvas, compared, school, monkeypatch):
    snapshot = canvas.lake.snapshot
    monkeypatch.setattr(canvas.lake, "snapshot", lambda name: [*snapshot(name), next(snapshot(name))])
    assert [len(candidates) for _, candidates in compared(full=True).values()] == [41, 41]


@pytest.mark.parametrize("kind", ["gzip truncated", "gzip corrupt", "object vanished"])
def test_a_part_that_cannot_be_read_ends_the_run(cloud, canvas, machine, kind):
    canvas.faults.switch_on(Fault(kind, times=None, where="POST /dap/object/url" if "object" in kind else ""))
    with pytest.raises(PartUnreadable, match="ops reconcile --stage test"):
        machine.compare()


def test_few_rows_are_held_at_once(cloud, canvas, machine, monkeypatch, school):
    # GIVEN requests with few keys
    monkeypatch.setattr(module, "KEYS_PER_REQUEST", 5)
    read, settled, most = [0], [0], [0]

    def row(*arguments, **options):
        read[0] += 1
        most[0] = max(most[0], read[0] - settled[0])
        return read_row(*arguments, **options)

    def compare(*arguments, **options):
        settled[0] += 1

    monkeypatch.setattr(module, "read_row", row)
    monkeypatch.setattr(module, "compare", compare)
    machine.compare("a", full=True)

    # THEN no more rows are held than the concurrent requests have keys
    assert read[0] == settled[0] == 80
    assert most[0] <= 5 * (module._REQUESTS_AHEAD + 1)
