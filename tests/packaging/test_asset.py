"""Both Lambda assets: complete, small, with valid bytecode, and without files of the other."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest
from uv import find_uv_bin

from functions.routes import ROUTES
from infra.assets import EVENT_PATH, RECONCILIATION
from infra.bundling import build_asset
from infra.platform import HOST, LAMBDA
from reconciliation import handlers
from testbed.events import ROOT

pytestmark = pytest.mark.slow

ASSETS = {"event path": EVENT_PATH, "reconciliation": RECONCILIATION}
STEPS = sorted({path.stem for path in Path(handlers.__file__).parent.glob("*.py")} - {"__init__"})
HANDLERS = [
    *(("event path", route.handler) for route in ROUTES),
    ("event path", "functions.handlers.relay.handler"),
    ("event path", "functions.handlers.import_monitor.handler"),
    *(("reconciliation", f"reconciliation.handlers.{step}.handler") for step in STEPS),
]
SERVICES = {"dynamodb", "events", "s3", "secretsmanager", "sqs", "ssm", "stepfunctions"}
"""AWS services that the steps of the reconciliation call."""
MEGABYTE = 1_000_000
AARCH64 = 183
"""Byte 18 of the ELF header of a shared library: the processor."""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Both assets by name and platform: this machine and Lambda."""
    folder = tmp_path_factory.mktemp("assets")
    assets = {
        (name, platform): folder / f"{name}, {platform.machine}, {platform.python}"
        for name in ASSETS
        for platform in (HOST, LAMBDA)
    }
    for (name, platform), output in assets.items():
        build_asset(output, platform, asset=ASSETS[name])
    return assets


@pytest.fixture
def run(built):
    """Run a program with the standard library and an asset only, and return its standard error."""

    def run(asset, program):
        program = f"import sys; sys.path.insert(0, {str(built[asset, HOST])!r}); {program}"
        settings = {"METRICS_NAMESPACE": "test", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
        command = [sys.executable, "-I", "-S", "-c", program]
        return subprocess.run(command, env=os.environ | settings, check=False, capture_output=True, text=True).stderr

    return run


@pytest.mark.parametrize(("asset", "handler"), HANDLERS)
def test_every_handler_is_imported_from_the_asset_alone(run, asset, handler):
    module, attribute = handler.rsplit(".", 1)
    assert run(asset, f"import {module} as m; assert callable(m.{attribute})") == ""


def test_a_function_can_dead_letter_from_the_asset_alone(run):
    # GIVEN an event function, which creates its SQS client on first use
    # WHEN it creates the client, THEN that has the request and the endpoint of SQS
    make_client = "from functions.dead_letters import _sqs; sqs = _sqs()"
    known = "assert sqs.send_message_batch; assert sqs.meta.endpoint_url == 'https://sqs.us-east-1.amazonaws.com'"
    assert run("event path", f"import functions.handlers.sis_batch_created; {make_client}; {known}") == ""


def test_the_reconciliation_has_the_clients_of_the_services_that_its_steps_call_and_no_other(run, built):
    make_clients = f"from reconciliation.aws import aws_client; [aws_client(name) for name in {sorted(SERVICES)}]"
    assert run("reconciliation", make_clients) == ""
    data = built["reconciliation", HOST] / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == SERVICES


def test_each_asset_ships_nothing_of_the_other(built):
    event_path, runs = ({path.name for path in built[name, LAMBDA].iterdir()} for name in ASSETS)
    assert {"reconciliation", "dap", "canvasapi", "aiohttp", "requests"} <= runs - event_path
    assert "pydynox" in event_path - runs


def test_what_the_assets_share_is_the_same(built):
    event_path, runs = (built[name, LAMBDA] for name in ASSETS)
    for name in (path.relative_to(event_path) for path in (event_path / "functions").rglob("*.py")):
        assert (runs / name).read_bytes() == (event_path / name).read_bytes()


def test_no_file_of_a_third_party_is_rewritten(built, tmp_path):
    # GIVEN the requirements of the functions, as published
    command = [find_uv_bin(), "pip", "install", "--quiet", "--target", tmp_path, "--no-deps", "--require-hashes"]
    command += ["--python", sys.executable, "--no-compile-bytecode", "-r", ROOT / "functions" / "requirements.txt"]
    subprocess.run(command, check=True)

    # THEN every module of the asset is unchanged, or that of this checkout
    asset = built["event path", HOST]
    for path in asset.rglob("*.py"):
        name = path.relative_to(asset)
        original = (ROOT if name.parts[0] == "functions" else tmp_path) / name
        assert path.read_bytes() == original.read_bytes(), name


@pytest.mark.parametrize("asset", ASSETS)
def test_every_module_has_bytecode_that_is_never_checked_against_its_source(built, asset):
    # GIVEN the date of 1980 that the CDK sets for every file
    sources = list(built[asset, HOST].rglob("*.py"))
    assert sources
    for source in sources:
        (bytecode,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        header = bytecode.read_bytes()[:16]
        # THEN the header has the flags for hash-based and unchecked (PEP 552)
        assert header[:4] == MAGIC_NUMBER
        assert int.from_bytes(header[4:8], "little") == 0b01


@pytest.mark.parametrize("asset", ASSETS)
def test_the_asset_of_lambda_holds_binaries_of_lambdas_processor(built, asset):
    binaries = list(built[asset, LAMBDA].rglob("*.so"))
    assert binaries
    assert {binary.read_bytes()[18] for binary in binaries} == {AARCH64}


def test_the_assets_are_small(built, tmp_path):
    zipped = Path(shutil.make_archive(str(tmp_path / "asset"), "zip", built["event path", LAMBDA]))
    assert zipped.stat().st_size <= 12 * MEGABYTE
    assert zipfile.ZipFile(zipped).testzip() is None
    # Limit of Lambda: 250 MB unzipped. Source: Lambda developer guide, "Lambda quotas".
    files = (path for path in built["reconciliation", LAMBDA].rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in files) < 80 * MEGABYTE
