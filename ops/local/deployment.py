"""Deploys the stacks to the emulator with the CDK command line."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import boto3

from infra.settings import stage_settings
from ops.failure import OperatorError
from ops.local.canvas import DoubleOfCanvas
from ops.local.checkout import ENV_FILE, LOCAL, ROOT
from ops.local.emulator import ACCOUNT, REGION, Emulator
from ops.local.emulator_gaps import fill_gaps
from ops.stage import Stage

STAGE = "local"

_CDK = ROOT / "node_modules" / ".bin" / "cdk"
_LOG = LOCAL / "deploy.log"
_CDK_ENVIRONMENT = {"CI": "true", "CDK_DISABLE_CLI_TELEMETRY": "true"}

Report = Callable[[str], None]


def deploy(emulator: Emulator, canvas: DoubleOfCanvas, *, report: Report) -> Stage:
    """Bootstrap the emulator's account and deploy all stacks to it; `report` is called with each step.

    The stage is compared with `canvas`.

    Raises:
        OperatorError: the CDK command line failed.
    """
    _LOG.write_text("")
    _write_secrets(_stage(emulator))
    # Not in the folder of cdk.json, or it would synthesise the app first.
    _cdk(emulator, "bootstrap", f"aws://{ACCOUNT}/{REGION}", folder=LOCAL, report=report)
    _cdk(
        emulator,
        "deploy",
        "--all",
        *("--require-approval", "never"),
        *("--context", f"stage={STAGE}"),
        *("--context", f"canvas_url={canvas.url}"),
        *("--output", str(LOCAL / "cdk.out")),
        folder=ROOT,
        report=report,
    )
    stage = _stage(emulator)
    report("filling the emulator's gaps")
    fill_gaps(stage)
    _write_environment(emulator, stage)
    return stage


def running_stage() -> Stage:
    """The local stage that `make up` deployed.

    Raises:
        OperatorError: it is not running.
    """
    emulator = Emulator.running()
    if emulator is None or not ENV_FILE.exists():
        raise OperatorError("Nothing runs locally. Start it: make up")
    return _stage(emulator)


def _stage(emulator: Emulator) -> Stage:
    session = boto3.Session(
        region_name=REGION,
        aws_access_key_id=emulator.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=emulator.environment["AWS_SECRET_ACCESS_KEY"],
    )
    return Stage(stage_settings(STAGE), session, endpoint=emulator.endpoint)


def _write_secrets(stage: Stage) -> None:
    """Create the secrets that the stage names in stages.toml. Safe to repeat."""
    # Only what `make setup` installs has what the double needs.
    from testbed.canvas.dap import CLIENT_ID, CLIENT_SECRET  # noqa: PLC0415
    from testbed.canvas.rest import TOKEN  # noqa: PLC0415

    reconciliation = stage.settings.reconciliation
    assert reconciliation is not None
    secrets = stage.client("secretsmanager")
    for arn, secret in (
        (reconciliation.canvas_secret_arn, {"token": TOKEN}),
        (reconciliation.canvas_data_secret_arn, {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}),
    ):
        # arn:…:secret:<name>
        with contextlib.suppress(secrets.exceptions.ResourceExistsException):
            secrets.create_secret(Name=arn.rpartition(":")[2], SecretString=json.dumps(secret))


def _cdk(emulator: Emulator, command: str, *arguments: str, folder: Path, report: Report) -> None:
    report(f"cdk {command}")
    process = subprocess.Popen(
        [_CDK, command, *arguments],
        cwd=folder,
        env=os.environ
        | emulator.environment
        | {"PATH": _path_with_our_node(), "CI": "true", "CDK_DISABLE_CLI_TELEMETRY": "true"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process, _LOG.open("a") as log:
        for line in process.stdout:
            log.write(line)
            if line.strip():
                report(f"cdk {command}: {line.strip()}")
    if process.returncode != 0:
        tail = "".join(_LOG.read_text().splitlines(keepends=True)[-20:])
        raise OperatorError(f"`cdk {command}` failed. The last lines of {_LOG}:\n{tail}")


def _path_with_our_node() -> str:
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def _write_environment(emulator: Emulator, stage: Stage) -> None:
    """Write the variables with which the shell, the AWS command line and the tests reach the local stage."""
    variables = {
        **emulator.environment,
        "ENROLLMENTS_TABLE": stage.table("enrollments"),
        "SIS_BATCHES_TABLE": stage.table("sis_batches"),
        "ENROLLMENTS_STREAM_ARN": stage.output("data", "EnrollmentsStreamArn"),
        "SIS_BATCHES_STREAM_ARN": stage.output("data", "SisBatchesStreamArn"),
        "EVENT_BUS": stage.event_bus,
        "INGESTION_QUEUE_URL": stage.ingestion_queue_url,
    }
    lines = [f"export {name}={value}" for name, value in variables.items()]
    # The AWS command line, and `ops` itself, are in the checkout's environment.
    lines.append(f'export PATH="{Path(sys.executable).parent}:$PATH"')
    ENV_FILE.write_text("\n".join(lines) + "\n")
