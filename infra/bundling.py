"""Builds the Lambda assets: packages, pinned dependencies, and bytecode that stays valid in Lambda."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_
from constructs import Construct
from uv import find_uv_bin

from functions.routes import PROJECT
from infra.assets import EVENT_PATH, RECONCILIATION, Asset
from infra.platform import Platform

_PYTHONS = Path(__file__).resolve().parents[1] / ".local" / "python"
"""Folder of a Python that uv downloads to compile the functions. Not in git."""


@jsii.implements(cdk.ILocalBundling)
class UvBundling:
    """Builds an asset with uv, in a second, without Docker."""

    def __init__(self, asset: Asset, platform: Platform) -> None:
        self._asset = asset
        self._platform = platform

    def try_bundle(self, output_dir: str, *, image: cdk.DockerImage, **_options: Any) -> bool:
        """Called by the CDK. True: there is no need for `image`."""
        build_asset(Path(output_dir), self._platform, asset=self._asset)
        return True


def functions_code(scope: Construct, platform: Platform) -> lambda_.Code:
    """The asset of the event path.

    Synthesis warns where this machine cannot compile it. With the context `bytecode=required` (`make deploy`) it fails,
    since the asset would differ from those of other machines, and the functions would start slowly.
    """
    if cdk.Stack.of(scope).bundling_required and interpreter_of(platform) is None:
        missing = (
            f"There is no Python {platform.python} on this machine and uv could not download it, so the functions ship "
            "without bytecode: they start about twice as slowly, and their asset differs from that of other machines. "
            f"Install Python {platform.python}"
        )
        annotations = cdk.Annotations.of(scope)
        if scope.node.try_get_context("bytecode") == "required":
            annotations.add_error(f"{missing}, or deploy without bytecode: CDK_ARGS='-c bytecode=optional'")
        else:
            annotations.add_warning_v2(f"{PROJECT}:bytecode", f"{missing}.")
    return _code(EVENT_PATH, platform)


def reconciliation_code(platform: Platform) -> lambda_.Code:
    """The asset of the reconciliation. `functions_code` warns where it cannot be compiled."""
    return _code(RECONCILIATION, platform)


def _code(asset: Asset, platform: Platform) -> lambda_.Code:
    return lambda_.Code.from_asset(
        str(asset.source),
        asset_hash_type=cdk.AssetHashType.OUTPUT,
        bundling=cdk.BundlingOptions(image=platform.runtime.bundling_image, local=UvBundling(asset, platform)),
    )


def build_asset(output: Path, platform: Platform, *, asset: Asset = EVENT_PATH) -> None:
    """Write `asset` to the folder `output`.

    Raises:
        subprocess.CalledProcessError: uv could not install the requirements, and has written why.
    """
    subprocess.run(
        [
            *(find_uv_bin(), "pip", "install", "--quiet", "--target", output, "--no-deps", "--require-hashes"),
            *("--python-platform", f"{platform.machine}-manylinux_2_28", "--python-version", platform.python),
            *("--only-binary", ":all:", "--no-compile-bytecode", "--link-mode", "copy"),
            *("--requirement", asset.requirements),
        ],
        check=True,
    )
    for package in asset.packages:
        shutil.copytree(package, output / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    _trim(output, asset)
    _compile(output, platform)


def _trim(output: Path, asset: Asset) -> None:
    """Remove what no function reads: nine tenths of the requirements of the event path."""
    unread = [
        part
        for folder, kept in asset.kept.items()
        for part in (output / folder).iterdir()
        if not any(part.match(pattern) for pattern in kept)
    ]
    for part in [*unread, *(part for pattern in asset.dropped for part in output.glob(pattern))]:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink()


def _compile(output: Path, platform: Platform) -> None:
    """Compile bytecode that is never checked against its source.

    The CDK dates every file 1980, so Lambda would take ordinary bytecode for stale and compile it at each cold start:
    /var/task is read-only.
    """
    python = interpreter_of(platform)
    if python is None:
        return
    # -I ignores environment variables such as PYTHONOPTIMIZE, which renames the bytecode.
    subprocess.run(
        [
            *(python, "-I", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"),
            *("-s", output, output),
        ],
        check=True,
    )


@cache
def interpreter_of(platform: Platform) -> str | None:
    """The path of a Python of the version of the platform, downloaded where it is missing; `None` where that fails.

    It is downloaded into the checkout. UV_PYTHON_DOWNLOADS=never forbids it.
    """
    if platform.python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    in_checkout = {"UV_PYTHON_INSTALL_DIR": str(_PYTHONS)}
    if python := find_python(platform) or find_python(platform, **in_checkout):
        return python
    print(f"Downloading Python {platform.python}, to compile the functions", file=sys.stderr)
    download = _uv("python", "install", "--no-bin", platform.python, **in_checkout)
    print(download.stderr, end="", file=sys.stderr)
    return find_python(platform, **in_checkout)


def find_python(platform: Platform, **environment: str) -> str | None:
    """The path of an installed Python of the version of the platform."""
    found = _uv(
        *("python", "find", "--no-python-downloads", "--no-project", platform.python),
        PATH=os.pathsep.join([*_pyenv_folders(platform), os.environ["PATH"]]),
        **environment,
    )
    return found.stdout.strip() if found.returncode == 0 else None


def _uv(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [find_uv_bin(), *arguments], env=os.environ | environment, check=False, capture_output=True, text=True
    )


def _pyenv_folders(platform: Platform) -> list[str]:
    """The folders of pyenv for the version of the platform. Its shims find only the version that a folder selects."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return [str(folder) for folder in versions.glob(f"{platform.python}.*/bin")]
