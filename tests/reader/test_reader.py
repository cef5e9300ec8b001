"""The reader package, on tables written by the event functions."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime

import boto3
import pytest

from canvas_live_state import Enrollment, Reader, RosterEntry, SisImport
from testbed.events import ROOT, example
from testbed.tables import Tables

COURSE = "21070000000000565"


@pytest.fixture
def tables(aws, prod):
    return Tables(prod.data)


@pytest.fixture
def reader(tables):
    return Reader(enrollments_table="enrollments", sis_batches_table="sis_batches")


def test_an_enrollment_is_a_record_with_parsed_times(reader, deliver):
    deliver(example("enrollment_created"))
    assert reader.enrollment("21070000000046825") == Enrollment(
        enrollment_id="21070000000046825",
        course_id=COURSE,
        course_section_id="21070000000004811",
        user_id="21070000000020064",
        user_name="Isaac Newton",
        type="StudentEnrollment",
        workflow_state="invited",
        associated_user_id="21070000000000562",
        limit_privileges_to_course_section=False,
        created_at=datetime(2018, 10, 9, 21, 7, 33, tzinfo=UTC),
        updated_at=datetime(2018, 10, 9, 21, 7, 33, tzinfo=UTC),
        course_uuid=None,
        user_uuid=None,
        enrollment_event_time=datetime(2018, 10, 9, 21, 7, 33, tzinfo=UTC),
        state=None,
        state_started_at=None,
        state_valid_until=None,
        state_is_current=None,
        restricted_access=None,
        access_is_current=None,
        state_event_time=None,
    )


def test_a_reader_of_a_stage_finds_its_tables(tables, prod, deliver):
    # GIVEN the parameters of the data stack
    deliver(example("enrollment_created"))
    ssm = boto3.client("ssm")
    for name in ("enrollments", "sis_batches"):
        parameter = f"/canvas-live-state/prod/{name.replace('_', '-')}-table"
        assert parameter in {each["Properties"].get("Name") for each in prod.data["Resources"].values()}
        ssm.put_parameter(Name=parameter, Value=name, Type="String")

    # THEN a reader of that stage finds its tables, and one of another stage names the missing parameter
    enrollment = Reader.of_stage("prod").enrollment("21070000000046825")
    assert enrollment
    assert enrollment.workflow_state == "invited"
    with pytest.raises(LookupError, match="/canvas-live-state/dev/enrollments-table"):
        Reader.of_stage("dev")


def test_what_has_not_arrived_is_none(reader):
    assert reader.enrollment("1") is None
    assert reader.sis_import("21070000000000001", 1) is None
    assert list(reader.roster(COURSE)) == list(reader.enrollments_of("1")) == list(reader.sis_imports("1")) == []


def test_a_roster_excludes_deleted_enrollments_by_default(reader, deliver):
    # GIVEN a course with an active and a deleted enrollment
    for number, state in (("11", "active"), ("12", "deleted")):
        deliver(
            example("enrollment_updated", body={"enrollment_id": number, "user_id": number, "workflow_state": state})
        )

    # THEN each query returns the matching enrollments
    assert [entry.enrollment_id for entry in reader.roster(COURSE)] == ["11"]
    assert [entry.enrollment_id for entry in reader.roster(COURSE, include_deleted=True)] == ["11", "12"]
    assert list(reader.enrollments_of("12")) == []
    (entry,) = reader.enrollments_of("12", include_deleted=True)
    assert entry == RosterEntry(
        enrollment_id="12",
        course_id=COURSE,
        user_id="12",
        user_name="Isaac Netwon",
        type="StudentEnrollment",
        workflow_state="deleted",
        state=None,
        restricted_access=None,
        course_section_id="21070000000000598",
    )


def test_imports_come_by_age_with_their_timelines(reader, deliver):
    # GIVEN two imports
    deliver(example("sis_batch_created"))
    deliver(example("sis_batch_updated"))

    # THEN they are listed newest first, or oldest first on request
    newest, oldest = reader.sis_imports("21070000000000001")
    assert [newest, oldest] == list(reader.sis_imports("21070000000000001", newest_first=False))[::-1]
    assert oldest == reader.sis_import("21070000000000001", 1440004)
    entered = datetime(2020, 1, 15, 16, 20, 25, 548000, tzinfo=UTC)
    assert oldest == SisImport(
        account_id="21070000000000001",
        sis_batch_id=1440004,
        workflow_state="created",
        event_time=entered,
        timeline={"created": entered},
    )


def test_unfinished_imports_come_longest_without_news_first(reader, deliver):
    deliver(example("sis_batch_updated"))
    deliver(example("sis_batch_created"))
    deliver(example("sis_batch_updated", body={"sis_batch_id": "9", "workflow_state": "imported"}))
    assert [each.sis_batch_id for each in reader.unfinished_imports()] == [31048324, 1440004]


def test_a_long_roster_comes_in_pages(tables, reader):
    # GIVEN a course with more than one page (1 MB) of enrollments
    for number in range(30):
        tables.client.put_item(
            TableName="enrollments",
            Item={
                "enrollment_id": {"S": str(number)},
                "course_id": {"S": COURSE},
                "user_id": {"S": f"{number:02d}"},
                "user_name": {"S": "x" * 50_000},
            },
        )
    first_page = tables.client.query(
        TableName="enrollments",
        IndexName="by_course",
        KeyConditionExpression="course_id = :course",
        ExpressionAttributeValues={":course": {"S": COURSE}},
    )
    assert "LastEvaluatedKey" in first_page

    # THEN the iterator returns all of them
    assert [entry.user_id for entry in reader.roster(COURSE)] == [f"{number:02d}" for number in range(30)]


@pytest.mark.slow
def test_it_can_be_installed_from_its_folder(tmp_path):
    # GIVEN a copy of the folder, for build files
    source, target = tmp_path / "checkout", tmp_path / "site-packages"
    shutil.copytree(ROOT / "canvas_live_state", source, ignore=shutil.ignore_patterns("build", "*.egg-info"))

    # WHEN a reader service installs it
    subprocess.run(
        [
            *("uv", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"),
            *("--python", sys.executable, "--target", str(target), str(source)),
        ],
        check=True,
    )

    # THEN it has the typed reader package, and no other package of this project
    assert (target / "canvas_live_state" / "py.typed").exists()
    assert {path.name for path in target.iterdir()} & {"functions", "infra", "ops", "tests"} == set()
