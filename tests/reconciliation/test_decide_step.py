"""Step decide: as-of times of all files, corrections, limits and the report."""

import json
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from functions.canvas.fields import format_timestamp
from reconciliation import names_file
from reconciliation.failure import LakeContradicts, TooManyCorrections
from reconciliation.handlers import compare
from reconciliation.run_files import RunFiles
from tests.reconciliation.machine import keys, read_json


def corrections(run="a"):
    """Corrections of a run by file."""
    files = RunFiles(run)
    return {name: [json.loads(line) for line in files.read_lines(name)] for name in files.names("corrections/")}


def load(canvas):
    """Load all commits into Canvas Data 2."""
    canvas.lake.lag = timedelta(0)
    for _ in range(2):
        canvas.lake.load()


def use(school, *, hours):
    """Advance the clock of a school with active users."""
    school.now += timedelta(hours=hours)
    school.use([next(row.id for row in school.enrollments.rows() if row.workflow_state == "active")])


def test_a_run_over_equal_tables_corrects_nothing(cloud, canvas, machine, school):
    # GIVEN tables equal to Canvas
    cloud.deliver(school.take_events())
    machine.run("first", full=True, expected=True)
    cloud.apply()

    # WHEN a full run compares them, THEN no correction is written, and no event is published
    report = machine.run("second", full=True)
    assert report["corrections"] == 0
    assert report["oldest_drift_seconds"] is None
    assert corrections("second") == {}
    assert cloud.published() == []
    for counts in report["families"].values():
        assert counts["same"] + counts["gone"] == counts["rows"]


def test_the_report_has_the_as_of_time_of_each_table(cloud, canvas, machine, school):
    state = machine.decide("a")
    report, jobs = read_json("runs/a/report.json"), read_json("runs/a/jobs.json")
    assert report["at"] == {table: job["at"] for table, job in jobs.items()}
    assert report["as_of"] == state["decide"]["as_of"]
    assert {table: report["as_of"][table] < report["at"][table] for table in jobs} == dict.fromkeys(jobs, True)
    assert (report["run"], report["number"], report["full"], report["dry_run"]) == ("a", 1, False, False)
    assert state["decide"]["done"] is True
    assert state["decide"]["corrections"] == report["corrections"]
    assert state["decide"]["files"] == len(corrections())


def test_the_newest_stamp_of_a_table_is_that_of_all_its_parts(cloud, canvas, machine, school):
    # GIVEN the same table in one part and in five
    whole = machine.decide("a", full=True, expected=True)
    canvas.dap.rows_per_part = 8
    canvas.dap.forget_jobs()
    parts = machine.decide("b", full=True, expected=True)
    assert whole["decide"]["as_of"] == parts["decide"]["as_of"]


def test_a_table_without_rows_has_an_as_of_time(cloud, canvas, machine, monkeypatch):
    monkeypatch.setattr(canvas.lake, "incremental", lambda *_: iter(()))
    state = machine.decide()
    assert set(state["decide"]["as_of"]) == {"enrollments", "enrollment_states"}
    assert state["decide"]["corrections"] == len(corrections("reconcile-1")["corrections/imports.jsonl.gz"])


def test_a_dry_run_writes_its_report_and_no_correction(cloud, canvas, machine):
    report = machine.run("dry-run-1", full=True, dry_run=True)
    assert report["dry_run"] is True
    assert report["corrections"] > 80
    assert list(keys("runs/dry-run-1/corrections/")) == []
    assert cloud.published() == []


def test_an_item_that_is_newer_than_the_lake_is_undecided(cloud, canvas, machine, school):
    # GIVEN enrollments that were deleted an hour ago, with events, and a Canvas Data 2 without this change
    cloud.deliver(school.take_events())
    row = next(row for row in school.enrollments.rows() if row.workflow_state == "active")
    old = school.enrollments[row.id]
    school.now += timedelta(hours=1)
    school.conclude(row.id)
    cloud.deliver(school.take_events())
    assert old.workflow_state == "active"
    report = machine.run("a", full=True, expected=True)
    families = report["families"]
    assert families["enrollment"]["behind"] + families["enrollment"]["undecided"] == 1


def test_a_full_run_corrects_names(cloud, canvas, machine, school, local_disk):
    # GIVEN a user who was renamed, which sends no event
    cloud.deliver(school.take_events())
    row = next(row for row in school.enrollments.rows() if row.user_id < 10**13)
    school.rename_user(row.user_id, "Ada King")
    load(canvas)

    # WHEN an incremental run compares, THEN names are ignored; WHEN a full run does, THEN they are corrected
    assert machine.run("a")["families"]["enrollment"]["drifted"] == 0
    report = machine.run("b", full=True)
    renamed = sum(each.user_id == row.user_id for each in school.enrollments.rows())
    assert report["families"]["enrollment"]["drifted"] >= renamed
    cloud.apply()
    items = [item for item in cloud.tables.items("enrollments") if item["user_id"] == school.global_id(row.user_id)]
    assert {item["user_name"] for item in items} == {"Ada King"}

    # AND no name is left on the local disk
    assert list(local_disk.iterdir()) == []


# Time.


def test_files_are_decided_by_as_many_invocations_as_it_takes(cloud, canvas, machine, local_disk, monkeypatch):
    # GIVEN five files of each table
    monkeypatch.setattr(compare, "ROWS_PER_CHUNK", 8)
    whole = machine.run("a", full=True, expected=True)
    decided = corrections("a")
    cloud.published()

    # WHEN each invocation has time for one file, and each answer is lost once
    machine.context.milliseconds = 60_000
    machine.doubled = True
    make = Mock(wraps=names_file._make)
    monkeypatch.setattr(names_file, "_make", make)
    canvas.faults.clear()
    again = machine.run("b", full=True, expected=True)

    # THEN the counts are equal, the names are built once, and the corrections differ in the run number only
    same = {name: value for name, value in whole.items() if name not in ("run", "number", "started_at")}
    assert {name: again[name] for name in same} == same
    assert make.call_count == 1
    assert {name: [each["body"] for each in found] for name, found in corrections("b").items()} == {
        name: [each["body"] for each in found] for name, found in decided.items()
    }


def test_names_are_fetched_by_an_invocation_that_has_not_made_them(cloud, canvas, machine, local_disk, monkeypatch):
    # GIVEN a run with one decided file
    monkeypatch.setattr(compare, "ROWS_PER_CHUNK", 20)
    state = machine.compare("a", full=True, expected=True)
    machine.context.milliseconds = 60_000
    state = machine.invoke("decide", state)
    assert state["decide"]["next"] == 1

    # WHEN another Lambda environment continues, with the file of an older run on its disk
    (made,) = local_disk.iterdir()
    made.unlink()
    (local_disk / "reconciliation-names-old.sqlite").write_bytes(b"x")
    machine.invoke("decide", state)

    # THEN it uses the names of this run only
    assert [path.name for path in local_disk.iterdir()] == ["reconciliation-names-a.sqlite"]


def test_names_that_were_half_made_are_made_anew(cloud, canvas, machine, local_disk, monkeypatch):
    (local_disk / "reconciliation-names-a.unfinished").write_bytes(b"half")
    assert machine.decide("a", full=True, expected=True)["decide"]["done"]


# Limits.


def test_more_corrections_than_expected_fail_the_run_after_its_report(cloud, canvas, machine, monkeypatch):
    monkeypatch.setenv("CORRECTION_LIMIT", "60")
    with pytest.raises(TooManyCorrections) as raised:
        machine.run("reconcile-1", full=True)
    assert str(raised.value) == (
        "80 items of table enrollments would be corrected, more than the 60 that a run may correct unseen. Nothing is "
        "published. Read what it found: ops drift --stage test; if it is right: ops reconcile --stage test --full "
        "--force reconcile-1"
    )
    assert read_json("runs/reconcile-1/report.json")["families"]["enrollment"]["missing"] == 40
    assert cloud.published() == []


def test_the_limit_of_imports_is_their_own(cloud, canvas, machine, monkeypatch, school):
    monkeypatch.setenv("CORRECTION_LIMIT", "20")
    monkeypatch.setattr(canvas.lake, "incremental", lambda *_: iter(()))
    with pytest.raises(
        TooManyCorrections, match=r"24 items of table sis_batches .* ops reconcile --stage test --force a"
    ):
        machine.run("a")


def test_a_large_table_permits_a_share_of_its_items(cloud, canvas, machine, monkeypatch, school):
    # GIVEN a table of forty items, half of them different
    monkeypatch.setenv("CORRECTION_LIMIT", "24")
    machine.run("first", full=True, expected=True)
    cloud.apply()
    for row in list(school.enrollments.rows())[:20]:
        school.sis_delete([row.id])
    load(canvas)
    drifted = machine.run("dry-run-1", dry_run=True)["corrections"]
    assert drifted > 24

    # WHEN the limit is 5 %, THEN the run fails; WHEN it is 100 %, THEN it does not
    with pytest.raises(TooManyCorrections):
        machine.run("a")
    monkeypatch.setenv("CORRECTION_LIMIT_PERCENT", "100")
    assert machine.run("b")["corrections"] == drifted


@pytest.mark.parametrize(("read", "passes"), [(104, True), (95, True), (94, False), (0, False)])
def test_a_forced_run_may_correct_a_tenth_more_than_was_read(cloud, canvas, machine, monkeypatch, read, passes):
    monkeypatch.setenv("CORRECTION_LIMIT", "10")
    report = machine.run("dry-run-1", full=True, dry_run=True)
    assert report["corrections"] == 104
    RunFiles("dry-run-1").write_json("report.json", report | {"corrections": read})
    if passes:
        assert machine.run("a", full=True, force="dry-run-1")["corrections"] == 104
    else:
        with pytest.raises(TooManyCorrections):
            machine.run("a", full=True, force="dry-run-1")


def test_a_forced_run_of_a_few_more_than_nothing_keeps_the_ordinary_limit(cloud, canvas, machine):
    report = machine.run("dry-run-1", full=True, dry_run=True)
    RunFiles("dry-run-1").write_json("report.json", report | {"corrections": 0})
    assert machine.run("a", full=True, force="dry-run-1")["corrections"] == 104


def test_a_result_that_lacks_what_it_should_have_fails_the_run(cloud, canvas, machine, school, monkeypatch):
    # GIVEN an enrollment that changed yesterday, with an event, and whose row is older than others of the load
    cloud.deliver(school.take_events())
    row = next(row for row in school.enrollments.rows() if row.workflow_state == "active")
    canvas.lake.mask("enrollments", row.id, workflow_state="active", updated_at=format_timestamp(row.updated_at))
    school.now += timedelta(hours=1)
    school.conclude(row.id)
    cloud.deliver(school.take_events())
    use(school, hours=15)
    load(canvas)

    # WHEN a run compares them, THEN it fails because Canvas Data 2 is incomplete, and publishes nothing
    with pytest.raises(LakeContradicts, match=r"1 rows of Canvas Data 2 lack a change .* raise margin_hours"):
        machine.run("a")
    assert read_json("runs/a/report.json")["families"]["enrollment"]["behind"] == 1
    assert cloud.published() == []


def test_a_row_from_the_future_is_unknown(cloud, canvas, machine, school):
    future = format_timestamp(datetime.now(UTC) + timedelta(days=1))
    row = next(school.enrollments.rows())
    canvas.lake.mask("enrollments", row.id, updated_at=future)
    report = machine.run("a", full=True, expected=True)
    assert report["families"]["enrollment"]["unknown"] == 1
