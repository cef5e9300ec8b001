"""Building the functions' asset: this package, its pinned dependencies, and bytecode that stays valid in Lambda."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_
from uv import find_uv_bin

from infra.settings import Target

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"

# Of folders of which the functions need little: what they need. botocore carries the models of 400 services, pydynox an
# ORM around the core that writes.
_KEPT = {
    "botocore/data": {
        *("dynamodb", "events", "endpoints.json", "partitions.json"),
        *("sdk-default-configuration.json", "_retry.json"),
    },
    "aws_lambda_powertools/utilities": {"__init__.py", "jmespath_utils", "parser", "typing"},
    "aws_lambda_powertools/utilities/parser/models": {"__init__.py", "event_bridge.py"},
    "pydynox": {"__init__.py", "exceptions.py", "pydynox_core.*"},
}
# What no function imports (a test imports every handler from the asset), and what describes the files as they came.
_DROPPED = (
    "*.dist-info/RECORD",
    "*.dist-info/sboms",
    ".lock",
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/utilities/parser/envelopes",
    "bin",
    "dateutil/rrule.py",
    "dateutil/zoneinfo",
    "pydantic/experimental",
    "pydantic/mypy.py",
    "pydantic/v1",
    "urllib3/contrib/emscripten",
)


@jsii.implements(cdk.ILocalBundling)
class UvBundling:
    """Builds the asset with uv, in a second, without Docker."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def try_bundle(self, output_dir: str, *, image: cdk.DockerImage, **_options: Any) -> bool:
        """Called by the CDK. True: there is no need for `image`."""
        build_asset(Path(output_dir), self._target)
        return True


def functions_code(target: Target) -> lambda_.Code:
    """The one asset of all functions."""
    return lambda_.Code.from_asset(
        str(FUNCTIONS),
        asset_hash_type=cdk.AssetHashType.OUTPUT,
        bundling=cdk.BundlingOptions(image=target.runtime.bundling_image, local=UvBundling(target)),
    )


def build_asset(output: Path, target: Target) -> None:
    """Write the asset to the folder `output`.

    Raises:
        subprocess.CalledProcessError: uv could not install the pinned requirements; it has said why.
    """
    subprocess.run(
        [
            *(find_uv_bin(), "pip", "install", "--quiet", "--target", output, "--no-deps", "--require-hashes"),
            *("--python-platform", f"{target.machine}-manylinux_2_28", "--python-version", target.python),
            *("--only-binary", ":all:", "--no-compile-bytecode", "--link-mode", "copy"),
            *("--requirement", FUNCTIONS / "requirements.txt"),
        ],
        check=True,
    )
    shutil.copytree(FUNCTIONS, output / FUNCTIONS.name, ignore=shutil.ignore_patterns("__pycache__"))
    _trim(output)
    _compile(output, target)


def _trim(asset: Path) -> None:
    """Take out what no function reads: nine tenths of what the requirements bring."""
    unread = [
        part
        for folder, kept in _KEPT.items()
        for part in (asset / folder).iterdir()
        if not any(part.match(pattern) for pattern in kept)
    ]
    for part in [*unread, *(part for pattern in _DROPPED for part in asset.glob(pattern))]:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink()
    # It would load an ORM and asyncio, a sixth of the start, for names that the functions do not use.
    (asset / "pydynox" / "__init__.py").write_text("")


def _compile(asset: Path, target: Target) -> None:
    """Ship bytecode that is never checked against its source.

    Lambda's /var/task is read-only and the CDK dates every file 1980: ordinary bytecode is stale there, and all of it
    is compiled again at each cold start.
    """
    python = _interpreter(target)
    if python is None:
        print(
            f"WARNING: found no Python {target.python}, so the functions ship without bytecode and start about twice "
            f"as slowly. Install Python {target.python} and deploy again.",
            file=sys.stderr,
        )
        return
    subprocess.run(
        [python, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", asset, asset],
        check=True,
    )


def _interpreter(target: Target) -> str | None:
    """The path of a Python that writes the target's bytecode, `None` where this machine has none."""
    if target.python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = subprocess.run(
        [find_uv_bin(), "python", "find", "--no-python-downloads", "--no-project", target.python],
        env=os.environ | {"PATH": os.pathsep.join([*_pyenv_folders(target), os.environ["PATH"]])},
        check=False,
        capture_output=True,
        text=True,
    )
    return found.stdout.strip() if found.returncode == 0 else None


def _pyenv_folders(target: Target) -> list[str]:
    """Where pyenv keeps the target's Python: its shims answer only for the version that a folder has chosen."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return [str(folder) for folder in versions.glob(f"{target.python}.*/bin")]
