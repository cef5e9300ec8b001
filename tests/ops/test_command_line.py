"""A failure of the command line is one message that says what to do, and exit status 1."""

import sys

import boto3
import pytest
from botocore.stub import Stubber

from ops import cli
from ops.local import deployment


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["ops", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.fixture
def nothing_runs(monkeypatch):
    monkeypatch.setattr(deployment.Emulator, "running", classmethod(lambda _: None))


def test_without_a_local_stage_an_error_says_how_to_start_one(monkeypatch, nothing_runs, capsys):
    assert run(monkeypatch, "show", "course", "1") == 1
    assert "Nothing runs locally. Start it: make up" in capsys.readouterr().err


def test_a_stage_that_is_not_deployed_is_named(monkeypatch, capsys):
    # GIVEN an account without our stacks, as CloudFormation says it
    cloudformation = boto3.client("cloudformation")
    stubber = Stubber(cloudformation)
    stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id … does not exist")
    stubber.activate()
    monkeypatch.setattr(boto3, "client", lambda _service: cloudformation)

    # WHEN a reader asks, THEN the missing stack is named, and how to deploy it
    assert run(monkeypatch, "show", "course", "1", "--stage", "prod") == 1
    written = capsys.readouterr().err
    assert "canvas-live-state-prod-data does not exist in this account and region" in written
    assert "make deploy STAGE=prod" in written


def test_nothing_is_discarded_that_is_not_exported(monkeypatch, capsys):
    assert run(monkeypatch, "redrive", "--discard") == 1
    assert "--discard needs --export FILE" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["2026-11-01T08:00:00", "yesterday"])
def test_a_replay_needs_instants(monkeypatch, nothing_runs, capsys, missing):
    monkeypatch.setattr(cli, "_stage", lambda _: None)
    assert run(monkeypatch, "replay", "--from", missing, "--to", "2026-11-01T08:00:00Z") == 1
    assert "--from" in capsys.readouterr().err


def test_down_without_a_local_stage_says_so(monkeypatch, nothing_runs, capsys):
    assert run(monkeypatch, "down") == 0
    assert "Nothing runs locally." in capsys.readouterr().out
