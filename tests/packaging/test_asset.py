"""The asset as it is deployed: complete, small, its bytecode valid, its hash the same every time."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from functions.routes import ROUTES
from infra.bundling import build_asset
from infra.settings import LAMBDA, THIS_MACHINE

pytestmark = pytest.mark.slow

HANDLERS = [
    *(route.handler for route in ROUTES),
    "functions.relay.handler.handler",
    "functions.unfinished_imports.handler",
]
MEGABYTE = 1_000_000
SETTINGS = (
    *("ENROLLMENTS_TABLE", "SIS_BATCHES_TABLE", "UNFINISHED_INDEX"),
    *("EVENT_BUS", "FORWARD_ALL_EVENTS", "FUTURE_TOLERANCE_MINUTES"),
)
ENVIRONMENT = {name: os.environ[name] for name in (*SETTINGS, "AWS_REGION", "AWS_DEFAULT_REGION", "PATH")}


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    """The asset for this machine's Python and processor."""
    folder = tmp_path_factory.mktemp("asset")
    build_asset(folder, THIS_MACHINE)
    return folder


@pytest.fixture(scope="module")
def lambda_asset(tmp_path_factory):
    """The asset for Lambda's Python and processor."""
    folder = tmp_path_factory.mktemp("lambda-asset")
    build_asset(folder, LAMBDA)
    return folder


@pytest.mark.parametrize("handler", HANDLERS)
def test_every_handler_is_imported_from_the_asset_alone(asset, handler):
    # GIVEN an interpreter that has nothing but its standard library and the asset
    module, attribute = handler.rsplit(".", 1)
    program = f"import sys; sys.path.insert(0, {str(asset)!r}); import {module} as m; assert callable(m.{attribute})"

    # WHEN it imports the handler, with the settings that infra gives, THEN it finds everything
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], env=ENVIRONMENT, check=False, capture_output=True, text=True
    )
    assert ran.stderr == ""
    assert ran.returncode == 0


def test_a_function_of_an_event_loads_nothing_but_the_core_of_its_client(asset):
    # WHEN an interpreter that has nothing else imports one from the asset
    program = (
        f"import sys; sys.path.insert(0, {str(asset)!r}); import functions.handlers.enrollment_updated; "
        "print(*(name for name in sys.modules if name.split('.')[0] in ('asyncio', 'botocore', 'pydynox')))"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], env=ENVIRONMENT, check=True, capture_output=True, text=True
    )

    # THEN the rest of pydynox is not there (Powertools names itself to botocore, if it is there)
    assert set(ran.stdout.split()) - {"botocore"} == {"pydynox", "pydynox.exceptions", "pydynox.pydynox_core"}


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
    build_asset(again, THIS_MACHINE)
    files = sorted(path.relative_to(asset) for path in asset.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert [str(name) for name in files if (asset / name).read_bytes() != (again / name).read_bytes()] == []


def test_the_asset_of_lambda_holds_the_code_of_lambdas_processor(lambda_asset):
    binaries = list(lambda_asset.rglob("*.so"))
    assert binaries
    assert all("aarch64" in binary.name and "313" in binary.name for binary in binaries)
