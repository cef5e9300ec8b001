"""Two assets: that of the event path knows nothing of the reconciliation, whose own is complete."""

import subprocess
import sys
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from infra.assets import EVENT_PATH, RECONCILIATION
from infra.bundling import build_asset
from infra.platform import HOST, LAMBDA
from reconciliation import handlers

pytestmark = pytest.mark.slow

HANDLERS = sorted({path.stem for path in Path(handlers.__file__).parent.glob("*.py")} - {"__init__"})
SERVICES = {"dynamodb", "events", "s3", "secretsmanager", "sqs", "ssm", "stepfunctions"}
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def asset(tmp_path_factory):
    """The reconciliation's asset for this machine's Python and processor."""
    folder = tmp_path_factory.mktemp("asset")
    build_asset(folder, HOST, asset=RECONCILIATION)
    return folder


@pytest.fixture(scope="module")
def lambda_asset(tmp_path_factory):
    """The reconciliation's asset for Lambda's Python and processor: all of its packages have wheels for it."""
    folder = tmp_path_factory.mktemp("lambda-asset")
    build_asset(folder, LAMBDA, asset=RECONCILIATION)
    return folder


@pytest.fixture(scope="module")
def event_path_asset(tmp_path_factory):
    """The event path's asset for Lambda's Python and processor."""
    folder = tmp_path_factory.mktemp("event-path-asset")
    build_asset(folder, LAMBDA, asset=EVENT_PATH)
    return folder


@pytest.fixture
def run(asset):
    """Run a program in an interpreter that has nothing but its standard library and the asset; its standard error."""

    def run(program):
        setup = f"import os, sys; os.environ['METRICS_NAMESPACE'] = 'x'; sys.path.insert(0, {str(asset)!r})"
        command = [sys.executable, "-I", "-S", "-c", f"{setup}; {program}"]
        return subprocess.run(command, check=False, capture_output=True, text=True).stderr

    return run


@pytest.mark.parametrize("handler", HANDLERS)
def test_every_handler_is_imported_from_the_asset_alone(run, handler):
    assert run(f"import reconciliation.handlers.{handler} as m; assert callable(m.handler)") == ""


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_the_asset_has_the_client_of_every_service_that_a_step_uses(run, service):
    make_client = f"from reconciliation.aws import aws_client; client = aws_client({service!r})"
    assert run(f"os.environ['AWS_REGION'] = os.environ['AWS_DEFAULT_REGION'] = 'us-east-1'; {make_client}") == ""


def test_the_asset_has_no_client_of_another_service(asset):
    services = {path.name for path in (asset / "botocore" / "data").iterdir() if path.is_dir()}
    assert services == SERVICES


def test_the_event_path_ships_nothing_of_the_reconciliation(event_path_asset, lambda_asset):
    # GIVEN the packages that only the reconciliation ships
    def packages(asset):
        return {path.name for path in asset.iterdir()}

    only_theirs = packages(lambda_asset) - packages(event_path_asset)

    # THEN its own, and the clients of Canvas, are among them
    assert {"reconciliation", "dap", "canvasapi", "aiohttp", "requests"} <= only_theirs
    assert packages(event_path_asset) - packages(lambda_asset) >= {"pydynox"}


def test_what_the_event_path_and_the_reconciliation_share_is_the_same(event_path_asset, lambda_asset):
    for name in (path.relative_to(event_path_asset) for path in (event_path_asset / "functions").rglob("*.py")):
        assert (lambda_asset / name).read_bytes() == (event_path_asset / name).read_bytes()


def test_binaries_are_of_lambdas_processor(lambda_asset):
    # GIVEN the header of each shared library (ELF: the machine is its 19th byte)
    binaries = list(lambda_asset.rglob("*.so"))
    assert binaries
    aarch64 = 183
    assert {binary.read_bytes()[18] for binary in binaries} == {aarch64}


def test_every_module_has_bytecode_that_is_never_checked_against_its_source(asset):
    for source in asset.rglob("*.py"):
        (bytecode,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        header = bytecode.read_bytes()[:16]
        assert header[:4] == MAGIC_NUMBER
        assert int.from_bytes(header[4:8], "little") == 0b01


def test_the_asset_is_far_below_what_lambda_takes(lambda_asset):
    # 250 MB. Source: Lambda developer guide, "Lambda quotas".
    assert sum(path.stat().st_size for path in lambda_asset.rglob("*") if path.is_file()) < 80 * MEGABYTE
