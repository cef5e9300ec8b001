"""Settings of the reconciliation: an invalid one is an error that names the key and the remedy."""

import json
import os
import subprocess
import sys

import pytest

from infra.settings import Reconciliation, StageError, stage_settings
from testbed.events import ROOT

REQUIRED = {
    "root_account_id": "21070000000000001",
    "canvas_url": "https://canvas.example.edu",
    "canvas_secret_arn": "arn:aws:secretsmanager:us-east-1:111122223333:secret:canvas-AbCdEf",
    "canvas_data_secret_arn": "arn:aws:secretsmanager:us-east-1:111122223333:secret:canvas-data",
}


@pytest.fixture
def read(tmp_path):
    """Read a stage from a stages.toml with these settings of the reconciliation, and `stage` above them."""

    def read(stage="", without=(), **settings):
        values = {key: value for key, value in (REQUIRED | settings).items() if key not in without}
        lines = "\n".join(f"{key} = {value!r}" for key, value in values.items()).replace("'", '"')
        file = tmp_path / "stages.toml"
        file.write_text(f"[beta]\n{stage}\n[beta.reconciliation]\n{lines}\n")
        return stage_settings.__wrapped__("beta", file)  # bypasses the cache

    return read


def test_a_setting_that_is_not_set_has_its_default(read):
    assert read().reconciliation == Reconciliation(
        **REQUIRED,
        canvas_data_url="https://api-gateway.instructure.com",
        schedule_hours=24,
        window_days=22,
        margin_hours=10,
        correction_limit=1000,
        correction_limit_percent=5,
        corrections_per_second=300,
        drift_alarm=100,
    )


def test_a_stage_has_no_reconciliation_by_default():
    assert stage_settings("prod").reconciliation is None
    assert stage_settings("dev").reconciliation is None
    assert stage_settings("local").reconciliation is not None


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_is_named(read, key):
    with pytest.raises(StageError) as error:
        read(without=[key])
    assert str(error.value) == f"stages.toml, stage [beta]:\n  reconciliation.{key} is missing"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"schedule_hour": 3},
            "reconciliation.schedule_hour is not a setting: did you mean reconciliation.schedule_hours?",
        ),
        ({"colour": 3}, "reconciliation.colour is not a setting"),
        # A key of the stage is invalid in this table.
        ({"retry_hours": 3}, "reconciliation.retry_hours is not a setting"),
        ({"root_account_id": "1"}, "reconciliation.root_account_id: String should match pattern"),
        (
            {"canvas_secret_arn": "arn:aws:sqs:us-east-1:111122223333:x"},
            "reconciliation.canvas_secret_arn: String should match",
        ),
        (
            {"canvas_data_secret_arn": "canvas-data"},
            "reconciliation.canvas_data_secret_arn: String should match pattern",
        ),
        ({"schedule_hours": 0}, "reconciliation.schedule_hours: Input should be greater than or equal to 1, not 0"),
        ({"window_days": 14}, "reconciliation.window_days: Input should be greater than or equal to 15, not 14"),
        ({"margin_hours": 168}, "reconciliation.margin_hours: Input should be less than or equal to 167, not 168"),
        (
            {"correction_limit": -1},
            "reconciliation.correction_limit: Input should be greater than or equal to 0, not -1",
        ),
        (
            {"correction_limit_percent": 101},
            "reconciliation.correction_limit_percent: Input should be less than or equal to",
        ),
        (
            {"corrections_per_second": 1},
            "reconciliation.corrections_per_second: Input should be greater than or equal to 2",
        ),
        ({"drift_alarm": 0}, "reconciliation.drift_alarm: Input should be greater than or equal to 1, not 0"),
        (
            {"schedule_hours": 240},
            "which must still be in the window of the next run. Choose window_days of at least 24",
        ),
    ],
)
def test_a_wrong_setting_is_an_error_that_names_it(read, settings, problem):
    with pytest.raises(StageError) as error:
        read(**settings)
    assert str(error.value).startswith("stages.toml, stage [beta]:\n")
    assert problem in str(error.value)


@pytest.mark.parametrize(("hours", "days"), [(24, 15), (168, 21)])
def test_the_shortest_window_holds_two_weeks_and_the_time_between_two_runs(read, hours, days):
    assert read(schedule_hours=hours, window_days=days).reconciliation.window_days == days


@pytest.mark.parametrize("key", ["canvas_url", "canvas_data_url"])
@pytest.mark.parametrize(
    "url",
    [
        "canvas.example.edu",
        "http://canvas.example.edu",
        "http://127.0.0.1:8080",  # valid on the emulator only
        "https://canvas.example.edu/api/v1",
        "https://canvas.example.edu/?access_token=SECRET",
        "https://user:SECRET@canvas.example.edu",
        "https://canvas.example.edu:port",
        "https://",
        "",
    ],
)
def test_a_url_is_https_and_a_host_and_what_else_it_has_is_not_repeated(read, key, url):
    with pytest.raises(StageError, match=rf"reconciliation\.{key} must be(gin with)? https://") as error:
        read(**{key: url})
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize("url", ["https://canvas.example.edu", "https://canvas.example.edu/"])
def test_a_slash_at_the_end_of_a_url_makes_no_difference(read, url):
    assert read(canvas_url=url).reconciliation.canvas_url == "https://canvas.example.edu"


def test_the_school_must_be_of_a_shard_whose_events_are_not_dropped(read):
    # GIVEN a stage with schools on two shards
    schools = 'root_account_ids = ["21060000000000001", "21070000000000009"]'

    # THEN any root account on these shards is accepted, and no other
    assert read(schools).reconciliation.root_account_id == "21070000000000001"
    with pytest.raises(StageError, match=r"reconciliation\.root_account_id is of shard 2108, and no school of"):
        read(schools, root_account_id="21080000000000001")


def test_the_table_is_a_table(tmp_path):
    file = tmp_path / "stages.toml"
    file.write_text("[beta]\nreconciliation = 3")
    with pytest.raises(StageError, match=r"reconciliation: Input should be an object, not 3"):
        stage_settings("beta", file)


def test_the_double_of_canvas_takes_the_place_of_both_urls_on_the_emulator():
    reconciliation = stage_settings("local").compared_with("http://127.0.0.1:4711").reconciliation
    assert reconciliation
    assert (reconciliation.canvas_url, reconciliation.canvas_data_url) == ("http://127.0.0.1:4711",) * 2


@pytest.mark.parametrize("url", ["http://canvas.example.edu", "http://127.0.0.1/x"])
def test_a_context_that_is_no_such_url_is_an_error(url):
    with pytest.raises(StageError, match=r"^The context canvas_url must be(gin with)? https://"):
        stage_settings("local").compared_with(url)


def test_a_deployed_stage_takes_its_urls_from_its_file_only(read):
    with pytest.raises(StageError, match=r"Stage beta takes its URLs from stages\.toml"):
        read().compared_with("http://127.0.0.1:4711")


def test_the_app_ends_with_the_sentence():
    # GIVEN a context that is invalid for a deployed stage
    context = json.dumps({"stage": "prod", "canvas_url": "http://127.0.0.1:1"})
    environment = os.environ | {"CDK_CONTEXT_JSON": context}

    # WHEN the app is synthesised
    ran = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )

    # THEN the error is one line, without a traceback
    assert ran.returncode == 1
    assert ran.stderr.strip().splitlines()[-1].endswith("Stage prod takes its URLs from stages.toml.")
    assert "Traceback" not in ran.stderr
