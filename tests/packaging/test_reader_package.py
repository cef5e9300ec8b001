"""The package for services that read the tables."""

import shutil
import subprocess
import sys
import tomllib
from email.parser import Parser

import pytest
from uv import find_uv_bin

from testbed.events import ROOT

PROJECT, READER = (
    tomllib.loads((ROOT / path).read_text())["project"]
    for path in ("pyproject.toml", "canvas_live_state/pyproject.toml")
)


def test_both_distributions_have_one_version():
    assert READER["version"] == PROJECT["version"]


@pytest.mark.slow
def test_a_reader_installs_the_reading_side_and_boto3_and_nothing_else(tmp_path):
    # GIVEN the folder of the repository
    source, installed = tmp_path / "canvas_live_state", tmp_path / "installed"
    shutil.copytree(
        ROOT / "canvas_live_state", source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    )

    # WHEN it is installed
    subprocess.run(
        [
            *(find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable, "--target", installed),
            *("--no-deps", "--no-build-isolation", source),
        ],
        check=True,
    )

    # THEN it has one package and no command, requires boto3 only, and can be imported
    (metadata,) = installed.glob("*.dist-info/METADATA")
    names = {path.name for path in installed.iterdir() if path.name != ".lock"}
    assert names == {"canvas_live_state", metadata.parent.name}
    assert Parser().parsestr(metadata.read_text()).get_all("Requires-Dist") == READER["dependencies"]
    modules = {path.name for path in (ROOT / "canvas_live_state").iterdir() if path.suffix in {".py", ".typed"}}
    assert {path.name for path in (installed / "canvas_live_state").iterdir()} == modules
    program = f"import sys; sys.path.insert(0, {str(installed)!r}); import canvas_live_state as c; print(c.__file__)"
    ran = subprocess.run([sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout.startswith(str(installed))
