"""GitHub workflows: valid, without secrets, and with development before production."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from testbed.events import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEPLOY, DEPLOY_STAGE = (
    yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text()) for name in ("deploy.yml", "deploy-stage.yml")
)


def runs_of(job):
    """Commands of a job."""
    return [step["run"] for step in job.get("steps", []) if "run" in step]


def test_every_workflow_is_valid():
    actionlint = Path(sys.executable).with_name("actionlint")
    ran = subprocess.run([actionlint, "-no-color", *WORKFLOWS], cwd=ROOT, check=False, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_and_no_secret_is_read(workflow):
    text = workflow.read_text()
    used = re.findall(r"uses: (?!\./)(\S+)", text)
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@(v\d+|[0-9a-f]{40})", action)] == []
    assert "secrets." not in text


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_make_command_of_a_workflow_works(workflow):
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    for command in [run for job in jobs for run in runs_of(job) if run.startswith("make ")]:
        dry = command.replace("make ", "make --dry-run ", 1)
        subprocess.run(
            ["bash", "-euc", dry], cwd=ROOT, env=os.environ | {"STAGE": "dev"}, check=True, stdout=subprocess.DEVNULL
        )


def test_production_follows_development_and_both_follow_one_synthesis():
    jobs = DEPLOY["jobs"]
    assert list(jobs) == ["synthesise", "dev", "prod"]
    assert (jobs["dev"]["needs"], jobs["prod"]["needs"]) == ("synthesise", "dev")
    assert [jobs[stage]["with"]["stage"] for stage in ("dev", "prod")] == ["dev", "prod"]
    assert [job for job in jobs.values() if "id-token" in job.get("permissions", {})] == [jobs["dev"], jobs["prod"]]
    assert [run.split(" CDK_ARGS")[0] for run in runs_of(jobs["synthesise"])] == [
        "make synth STAGE=dev",
        "make synth STAGE=prod",
    ]
    assert all("-c bytecode=required" in run for run in runs_of(jobs["synthesise"]))


def test_a_stage_is_deployed_from_that_assembly_in_its_environment_and_verified():
    job = DEPLOY_STAGE["jobs"]["deploy"]
    assert job["environment"] == "${{ inputs.stage }}"
    assert DEPLOY_STAGE["permissions"] == {"contents": "read", "id-token": "write"}
    assert runs_of(job) == [
        "make setup-operate",
        'make deploy CDK_ARGS="--app cdk.out/$STAGE --require-approval never"',
        '.venv/bin/ops verify --stage "$STAGE"',
    ]
