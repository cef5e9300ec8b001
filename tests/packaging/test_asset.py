"""The asset as it is deployed: complete, small, its bytecode valid, its hash the same every time."""

import shutil
import subprocess
import sys
import zipfile
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest
from uv import find_uv_bin

from functions.routes import ROUTES
from infra.bundling import build_asset
from infra.platform import HOST, LAMBDA
from tests.canvas import ROOT

pytestmark = pytest.mark.slow

HANDLERS = [
    *(route.handler for route in ROUTES),
    "functions.handlers.relay.handler",
    "functions.handlers.import_monitor.handler",
]
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    """The asset for this machine's Python and processor."""
    folder = tmp_path_factory.mktemp("asset")
    build_asset(folder, HOST)
    return folder


@pytest.fixture(scope="module")
def lambda_asset(tmp_path_factory):
    """The asset for Lambda's Python and processor."""
    folder = tmp_path_factory.mktemp("lambda-asset")
    build_asset(folder, LAMBDA)
    return folder


@pytest.fixture
def run(asset):
    """Run a program in an interpreter that has nothing but its standard library and the asset; its standard error."""

    def run(program):
        program = f"import sys; sys.path.insert(0, {str(asset)!r}); {program}"
        command = [sys.executable, "-I", "-S", "-c", program]
        return subprocess.run(command, check=False, capture_output=True, text=True).stderr

    return run


@pytest.mark.parametrize("handler", HANDLERS)
def test_every_handler_is_imported_from_the_asset_alone(run, handler):
    module, attribute = handler.rsplit(".", 1)
    assert run(f"import {module} as m; assert callable(m.{attribute})") == ""


def test_a_function_can_dead_letter_from_the_asset_alone(run):
    # GIVEN an event function, which has no client of SQS until it rejects a message
    # WHEN it makes one, THEN the client knows the request and where to send it
    make_client = "from functions.dead_letters import _sqs; sqs = _sqs()"
    assert run(f"import functions.handlers.sis_batch_created; {make_client}; assert sqs.send_message_batch") == ""
    assert run(f"{make_client}; assert sqs.meta.endpoint_url == 'https://sqs.us-east-1.amazonaws.com'") == ""


def test_no_file_of_a_third_party_is_rewritten(asset, tmp_path):
    # GIVEN the functions' requirements as their authors made them
    command = [find_uv_bin(), "pip", "install", "--quiet", "--target", tmp_path, "--no-deps", "--require-hashes"]
    command += ["--python", sys.executable, "--no-compile-bytecode", "-r", ROOT / "functions" / "requirements.txt"]
    subprocess.run(command, check=True)

    # THEN every module of the asset is as they wrote it, or as it is in our checkout
    modules = {path.relative_to(asset) for path in asset.rglob("*.py")}
    ours = {name for name in modules if name.parts[0] == "functions"}
    assert ours < modules
    assert [str(name) for name in ours if (asset / name).read_bytes() != (ROOT / name).read_bytes()] == []
    assert [str(name) for name in modules - ours if (asset / name).read_bytes() != (tmp_path / name).read_bytes()] == []


def test_the_zipped_asset_of_lambda_is_small(lambda_asset, tmp_path):
    zipped = Path(shutil.make_archive(str(tmp_path / "asset"), "zip", lambda_asset))
    assert zipped.stat().st_size <= 12 * MEGABYTE
    assert zipfile.ZipFile(zipped).testzip() is None


def test_every_module_has_bytecode_that_is_never_checked_against_its_source(asset):
    # GIVEN what the CDK does: every file gets a date of 1980
    sources = list(asset.rglob("*.py"))
    assert sources
    for source in sources:
        (bytecode,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        header = bytecode.read_bytes()[:16]
        # THEN the header says: hash-based, do not check (PEP 552)
        assert header[:4] == MAGIC_NUMBER
        assert int.from_bytes(header[4:8], "little") == 0b01


def test_the_hash_is_the_same_every_time(asset, tmp_path):
    again = tmp_path / "again"
    build_asset(again, HOST)
    files = sorted(path.relative_to(asset) for path in asset.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert [str(name) for name in files if (asset / name).read_bytes() != (again / name).read_bytes()] == []


def test_the_asset_of_lambda_holds_the_code_of_lambdas_processor(lambda_asset):
    binaries = list(lambda_asset.rglob("*.so"))
    assert binaries
    assert all("aarch64" in binary.name and "313" in binary.name for binary in binaries)
