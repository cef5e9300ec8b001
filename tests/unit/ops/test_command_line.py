"""A failure of the command line is one message that says what to do, and exit status 1."""

import subprocess
import sys

import pytest

from ops import cli, stage
from ops.commands import at_stage
from ops.commands.console import collect
from ops.local.emulator import Emulator
from ops.stacks import Stack
from testbed.events import ROOT


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["ops", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.fixture
def nothing_runs(monkeypatch):
    monkeypatch.setattr(Emulator, "running", classmethod(lambda _: None))


def test_without_a_local_stage_an_error_says_how_to_start_one(monkeypatch, nothing_runs, capsys):
    assert run(monkeypatch, "show", "course", "1") == 1
    assert "Nothing runs locally. Start it: make up" in capsys.readouterr().err


@pytest.fixture
def empty_account(monkeypatch):
    """An account without our stacks."""
    monkeypatch.setattr(stage, "describe_stack", lambda _cloudformation, name: Stack(name, "MISSING"))


def test_a_stage_that_is_not_deployed_is_named(monkeypatch, empty_account, capsys):
    # WHEN a reader asks, THEN the missing stack is named, and how to deploy it
    assert run(monkeypatch, "show", "course", "1", "--stage", "prod") == 1
    written = capsys.readouterr().err
    assert "canvas-live-state-prod-data does not exist in this account and region" in written
    assert "make deploy STAGE=prod" in written


def test_the_stage_may_be_named_once_for_the_shell(monkeypatch, empty_account, capsys):
    monkeypatch.setenv("OPS_STAGE", "dev")
    assert run(monkeypatch, "show", "course", "1") == 1
    assert "canvas-live-state-dev-data does not exist" in capsys.readouterr().err


def test_an_unknown_stage_is_refused_and_the_known_ones_are_named(monkeypatch, capsys):
    assert run(monkeypatch, "status", "--stage", "staging") == 1
    assert "stages.toml has no stage 'staging'. There are: local, dev, prod" in capsys.readouterr().err


def test_a_profile_is_for_a_stage_on_aws(monkeypatch, capsys):
    assert run(monkeypatch, "status", "--profile", "school") == 1
    assert "name its stage, too, with --stage" in capsys.readouterr().err


def test_missing_credentials_are_said_in_words(monkeypatch, capsys):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    assert run(monkeypatch, "status", "--stage", "prod") == 1
    assert "No AWS credentials were found" in capsys.readouterr().err


def test_the_command_line_starts_without_the_cdk():
    # WHEN the command line is imported in a process of its own
    program = "import sys, ops.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    imported = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()

    # THEN what takes seconds, or prints a banner of Node, is not loaded
    assert "boto3" in imported
    assert not {"aws_cdk", "jsii", "moto", "pydynox", "aws_lambda_powertools"} & set(imported)


def test_nothing_is_discarded_that_is_not_exported(monkeypatch, capsys):
    monkeypatch.setattr(at_stage, "open_stage", lambda *_, **__: None)
    assert run(monkeypatch, "redrive", "--discard") == 1
    assert "--discard needs --export FILE" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["2026-11-01T08:00:00", "yesterday"])
def test_a_replay_needs_instants(monkeypatch, nothing_runs, capsys, missing):
    monkeypatch.setattr(at_stage, "open_stage", lambda *_, **__: None)
    assert run(monkeypatch, "replay", "--from", missing, "--to", "2026-11-01T08:00:00Z") == 1
    assert "--from" in capsys.readouterr().err


def test_down_without_a_local_stage_says_so(monkeypatch, nothing_runs, capsys):
    assert run(monkeypatch, "down") == 0
    assert "Nothing runs locally." in capsys.readouterr().out


def test_an_operator_may_stop_a_command_and_keeps_what_was_done(capsys):
    # GIVEN a command that is stopped by Ctrl-C after two messages
    def stopped():
        yield from (1, 2)
        raise KeyboardInterrupt

    # WHEN it is stopped, THEN the two are known, and so is where the rest is
    assert collect(stopped(), "sending back") == [1, 2]
    assert "Stopped. The remaining messages are still in their queues." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "settled"),
    [
        ("CREATE_COMPLETE", True),
        ("UPDATE_COMPLETE", True),
        ("IMPORT_COMPLETE", True),
        ("UPDATE_ROLLBACK_COMPLETE", False),
        ("ROLLBACK_COMPLETE", False),
        ("UPDATE_IN_PROGRESS", False),
    ],
)
def test_a_stack_is_settled_only_when_its_last_deployment_succeeded(state, settled):
    assert Stack("stack", state).is_settled is settled
