"""Stages are data: a wrong key or value in stages.toml is an error that names it, and a new stage needs no Python."""

import subprocess
import sys

import pytest

from infra.settings import Settings, StageError, stage_settings
from testbed.events import ROOT


@pytest.fixture
def stages(tmp_path):
    """Reads a stage out of the text of a stages.toml."""

    def read(text, stage="beta"):
        file = tmp_path / "stages.toml"
        file.write_text(text)
        return stage_settings(stage, file)

    return read


@pytest.mark.parametrize("stage", ["local", "dev", "prod"])
def test_the_stages_of_the_repository_are_valid(stage):
    assert stage_settings(stage).stage == stage


def test_a_stage_that_says_nothing_has_the_defaults(stages):
    assert stages("[beta]") == Settings(stage="beta")


def test_every_kind_of_setting_is_read(stages):
    beta = stages("""
        [beta]
        account = "111122223333"
        region = "ca-central-1"
        root_account_ids = ["21070000000000001"]
        tags = { owner = "registrar" }
        page_emails = ["oncall@example.edu"]
        notify_topic_arn = "arn:aws:sns:ca-central-1:111122223333:integration"
        canvas_connected = true
        retry_hours = 12
    """)
    assert beta.root_account_ids == ("21070000000000001",)
    assert beta.tags == {"owner": "registrar"}
    assert (beta.canvas_connected, beta.retry_hours) == (True, 12)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("retry_hour = 3", "retry_hour is not a setting: did you mean retry_hours?"),
        ("colour = 3", "colour is not a setting"),
        ('retry_hours = "x"', "retry_hours: Input should be a valid integer, not 'x'"),
        ("retry_hours = 67", "retry_hours takes 1001 receives of a message and SQS allows 1000: choose at most 66"),
        ('account = "12"', "account: String should match pattern"),
        ('region = "Frankfurt"', "region: String should match pattern"),
        ("log_days = 8", "log_days: Input should be 1, 3, 5"),
        ("function_concurrency = 1", "function_concurrency: Input should be greater than or equal to 2, not 1"),
        ('root_account_ids = ["school"]', "root_account_ids.0: String should match pattern"),
        # A local id, as Canvas' pages show it: every event would be foreign, and dropped.
        ('root_account_ids = ["1"]', "root_account_ids.0: String should match pattern"),
        ("tags = { owner = 1 }", "tags.owner: Input should be a valid string, not 1"),
        ("page_after_minutes = 40", "page_after_minutes is not a multiple of notify_after_minutes"),
        (
            'page_emails = ["a@b"]\npage_topic_arn = "arn:aws:sns:us-east-1:111122223333:x"',
            "page_emails and page_topic_arn exclude each other",
        ),
    ],
)
def test_a_wrong_setting_is_an_error_that_names_it(stages, text, problem):
    with pytest.raises(StageError) as error:
        stages(f"[beta]\n{text}")
    assert str(error.value).startswith("stages.toml, stage [beta]:\n")
    assert problem in str(error.value)


def test_the_most_hours_that_sqs_allows_are_accepted(stages):
    assert stages("[beta]\nretry_hours = 66").max_receive_count == 986


def test_a_stage_that_is_not_there_is_an_error_that_names_the_others(stages):
    with pytest.raises(StageError, match=r"stages\.toml has no stage 'gamma'\. There are: alpha, beta"):
        stages("[alpha]\n[beta]", stage="gamma")


@pytest.mark.parametrize("text", ["[beta", "beta = 1"])
def test_a_file_that_is_not_toml_or_has_no_table_is_said(stages, text):
    with pytest.raises(StageError, match=r"^stages\.toml (cannot be read|has no stage)"):
        stages(text)


def test_reading_a_stage_loads_no_cdk():
    program = "import sys, infra.settings; infra.settings.stage_settings('prod'); print('aws_cdk' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "False"
