"""Deploys the stacks to the emulator with the CDK command line."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import boto3

from infra.settings import EMULATOR_ACCOUNT, EMULATOR_REGION, stage_settings
from ops.failure import OperatorError
from ops.local.canvas import DoubleOfCanvas
from ops.local.checkout import ENV_FILE, LOCAL, ROOT
from ops.local.emulator import Emulator
from ops.local.emulator_gaps import fill_gaps
from ops.stage import Stage

STAGE = "local"

_CDK = ROOT / "node_modules" / ".bin" / "cdk"
_LOG = LOCAL / "deploy.log"
_CDK_ENVIRONMENT = {"CI": "true", "CDK_DISABLE_CLI_TELEMETRY": "true"}

Report = Callable[[str], None]


def deploy(emulator: Emulator, canvas: DoubleOfCanvas, *, report: Report) -> Stage:
    """Bootstrap the account of the emulator and deploy all stacks, which are compared with `canvas`.

    `report` is called with each step.

    Raises:
        OperatorError: the CDK command line failed.
    """
    _LOG.write_text("")
    _write_secrets(_stage(emulator))
    # In the folder of cdk.json, it would synthesise the app first.
    _cdk(emulator, "bootstrap", f"aws://{EMULATOR_ACCOUNT}/{EMULATOR_REGION}", folder=LOCAL, report=report)
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
        region_name=EMULATOR_REGION,
        aws_access_key_id=emulator.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=emulator.environment["AWS_SECRET_ACCESS_KEY"],
    )
    return Stage(stage_settings(STAGE), session, endpoint=emulator.endpoint)


def _write_secrets(stage: Stage) -> None:
    """Create the secrets that the stage names in stages.toml. Safe to repeat."""
    # Imported here: what operates a deployed stage does not have the requirements of the double.
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
        env=os.environ | emulator.environment | _CDK_ENVIRONMENT | {"PATH": _path_with_our_node()},
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
    """Write the environment variables of the local stage, for the shell, the AWS command line and the tests."""
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
    # The AWS command line and `ops` are installed in the environment of the checkout.
    lines.append(f'export PATH="{Path(sys.executable).parent}:$PATH"')
    ENV_FILE.write_text("\n".join(lines) + "\n")
