"""The programs that are measured, and their assets: ours as it is deployed, the peers' as `pip` installs them."""

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from infra.bundling import build_asset
from infra.settings import LAMBDA, THIS_MACHINE

ROOT = Path(__file__).resolve().parents[1]
_PEERS = ROOT / "bench" / "peers"
# What the peers, and Lambda's own runtime, are made of; their versions stand in requirements.txt.
_PEER_PACKAGES = ("aws-lambda-powertools", "boto3", "pydantic")
_RUNTIME_PACKAGES = ("awslambdaric",)


@dataclass(frozen=True)
class Program:
    """One way to write this function.

    Attributes:
        name: what tables and pictures call it.
        handler: where Lambda finds it in the asset.
        asset: the folder that holds it and all it needs.
    """

    name: str
    handler: str
    asset: Path


@dataclass(frozen=True)
class Assets:
    """Every program, and what surrounds them.

    Attributes:
        programs: by name, ours first.
        runtime: a folder with the client that Lambda's Python runtime consists of.
        zipped_bytes: how large the asset that is uploaded is, by program. Ours is the one for Lambda's processor.
    """

    programs: dict[str, Program]
    runtime: Path
    zipped_bytes: dict[str, int]


def build(folder: Path) -> Assets:
    """Build all assets below `folder`, with bytecode that is never checked, as ours has it in Lambda."""
    ours, ours_for_lambda, peers, floor = (folder / name for name in ("ours", "lambda", "peers", "floor"))
    build_asset(ours, THIS_MACHINE)
    build_asset(ours_for_lambda, LAMBDA)
    _install(peers, _PEER_PACKAGES)
    for source in _PEERS.glob("*.py"):
        shutil.copy(source, peers)
    floor.mkdir()
    shutil.copy(_PEERS / "floor.py", floor)
    for asset in (peers, floor):
        _compile(asset)
    _install(folder / "runtime", _RUNTIME_PACKAGES)
    programs = (
        Program("ours", "functions.handlers.enrollment_updated.handler", ours),
        Program("floor", "floor.handler", floor),
        Program("typical", "typical.handler", peers),
        Program("get + put", "get_put.handler", peers),
        Program("typical + idempotency", "idempotent.handler", peers),
    )
    return Assets(
        programs={program.name: program for program in programs},
        runtime=folder / "runtime",
        zipped_bytes={
            program.name: _zipped_bytes(ours_for_lambda if program.asset == ours else program.asset)
            for program in programs
        },
    )


def _install(folder: Path, packages: tuple[str, ...]) -> None:
    """Install `packages` and what they need into `folder`, in the versions of requirements.txt."""
    pinned = re.findall(r"^([a-z0-9-]+==\S+)", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)
    wanted = [requirement for requirement in pinned if requirement.split("==")[0] in packages]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(pinned))
        constraints.flush()
        subprocess.run(
            [
                *(find_uv_bin(), "pip", "install", "--quiet", "--target", folder, "--only-binary", ":all:"),
                *("--python", sys.executable, "--constraint", constraints.name, *wanted),
            ],
            check=True,
        )


def _compile(asset: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", asset],
        check=True,
    )


def _zipped_bytes(asset: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return Path(shutil.make_archive(f"{folder}/asset", "zip", asset)).stat().st_size
