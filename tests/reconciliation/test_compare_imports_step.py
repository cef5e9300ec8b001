"""Step compare_imports: recent SIS imports by the list, unfinished ones by id."""

import gzip
import json
from datetime import timedelta

import pytest

from functions.runtime import setting
from reconciliation.aws import aws_client
from reconciliation.failure import CredentialsRefused
from testbed.canvas.faults import Fault


@pytest.fixture
def compared(cloud, canvas, machine):
    """Compare imports, and return the counts and the corrections by import."""

    def compared():
        state = machine.request("a")
        assert machine.invoke("compare_imports", state) == {}
        content = (
            aws_client("s3").get_object(Bucket=setting("RUN_BUCKET"), Key="runs/a/imports.jsonl.gz")["Body"].read()
        )
        counts, *corrections = map(json.loads, gzip.decompress(content).splitlines())
        return counts, {int(each["body"]["sis_batch_id"]): each for each in corrections}

    return compared


def announced(cloud, school):
    """Deliver all events of imports."""
    cloud.deliver([event for event in school.take_events() if "sis_batch" in event["metadata"]["event_name"]])


def test_missing_imports_are_corrected_with_the_time_of_their_end_in_canvas(compared, school):
    # GIVEN an empty table
    counts, corrections = compared()

    # THEN every import of the last weeks is missing, and its correction has the time of its end in Canvas
    rows = {row.id: row for row in school.sis_imports.rows()}
    assert counts["rows"] == counts["corrections"] == counts["verdicts"]["missing"] == len(rows) == len(corrections)
    ended = next(row for row in rows.values() if row.workflow_state == "imported")
    assert corrections[ended.id]["metadata"]["event_time"] == ended.ended_at.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    assert corrections[ended.id]["body"] == {
        "sis_batch_id": str(ended.id),
        "account_id": "1",
        "workflow_state": "imported",
    }


def test_imports_that_the_table_has_right_leave_nothing(cloud, compared, school):
    announced(cloud, school)
    silent = {row.id for row in school.sis_imports.rows() if row.workflow_state in ("aborted", "cleanup_batch")}
    counts, corrections = compared()
    assert set(corrections) == silent
    assert counts["verdicts"]["same"] == counts["rows"] - len(silent)


def test_what_canvas_did_not_announce_is_corrected(cloud, compared, school):
    # GIVEN an import that was aborted
    school.now += timedelta(hours=1)
    started = school.create_import()
    school.start_import(started)
    announced(cloud, school)
    school.now += timedelta(hours=1)
    school.abort_import(started)

    # WHEN imports are compared, THEN the correction aborts it at `updated_at` in Canvas
    counts, corrections = compared()
    assert corrections[started]["body"]["workflow_state"] == "aborted"
    assert counts["oldest_drift_seconds"] > 0


def test_an_older_unfinished_import_is_queried_by_its_id(cloud, compared, canvas, school, monkeypatch):
    # GIVEN two imports from before the window, one of which ended without an event, and one that Canvas has removed
    monkeypatch.setenv("WINDOW_DAYS", "1.5")
    begun = [school.create_import() for _ in range(3)]
    announced(cloud, school)
    school.now += timedelta(minutes=10)
    school.abort_import(begun[0])
    school.purge_import(begun[2])
    monkeypatch.setenv("WINDOW_DAYS", "0.01")

    # WHEN imports are compared, THEN these three are queried by id
    counts, corrections = compared()
    paths = [request.path for request in canvas.requests if "/sis_imports/" in request.path]
    assert {int(path.rpartition("/")[2]) for path in paths} >= set(begun)
    assert counts["verdicts"]["gone"] == 1
    assert counts["verdicts"]["same"] >= 1
    assert begun[0] in corrections


def test_an_unfinished_import_of_the_list_is_not_queried_again(cloud, compared, canvas, school):
    begun = school.create_import()
    announced(cloud, school)
    compared()
    assert f"/{begun}" not in " ".join(request.path for request in canvas.requests)


def test_imports_of_another_account_are_left_alone(cloud, compared, canvas, school, monkeypatch):
    # GIVEN an unfinished import of another root account of the stage
    key = {"account_id": {"S": "21080000000000001"}, "sis_batch_id": {"N": "7"}}
    since = {
        "unfinished_since": {"S": "2026-01-01T00:00:00.000000Z"},
        "event_time": {"S": "2026-01-01T00:00:00.000000Z"},
    }
    cloud.tables.client.put_item(TableName="sis_batches", Item=key | since | {"workflow_state": {"S": "importing"}})
    compared()
    assert "/sis_imports/7" not in " ".join(request.path for request in canvas.requests)


def test_an_import_that_cannot_be_read_is_unknown(compared, school, monkeypatch):
    from testbed.canvas import rest

    show = rest._sis_import_json
    monkeypatch.setattr(rest, "_sis_import_json", lambda row: show(row) | {"workflow_state": None})
    counts, corrections = compared()
    assert counts["verdicts"] == {"unknown": counts["rows"]}
    assert corrections == {}


def test_a_token_that_is_refused_ends_the_run(compared, canvas):
    canvas.faults.switch_on(Fault("credentials refused", times=None, where="/api/"))
    with pytest.raises(CredentialsRefused, match="token in canvas-token"):
        compared()
