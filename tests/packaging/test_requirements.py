"""Every package that is installed is pinned to one version and to its hashes."""

import json
import re

import pytest

from tests.canvas import ROOT

FILES = ["requirements.txt", "requirements-operate.txt", "functions/requirements.txt", "ops/local/requirements.txt"]


def pinned(file):
    """Requirement name to version and number of hashes."""
    entries = re.split(r"\n(?=\S)", (ROOT / file).read_text())
    requirements = [entry for entry in entries if entry and not entry.startswith("#")]
    parsed = [re.match(r"([a-z0-9._-]+)==([^ ;\\]+)", entry) for entry in requirements]
    assert all(parsed)
    return {
        found[1]: (found[2], entry.count("--hash=sha256:")) for found, entry in zip(parsed, requirements, strict=True)
    }


@pytest.mark.parametrize("file", FILES)
def test_every_requirement_has_one_version_and_a_hash(file):
    requirements = pinned(file)
    assert requirements
    assert [name for name, (_, hashes) in requirements.items() if hashes == 0] == []


@pytest.mark.parametrize(
    ("larger", "smaller"),
    [("requirements.txt", "requirements-operate.txt"), ("requirements-operate.txt", "functions/requirements.txt")],
)
def test_development_and_operation_use_the_very_versions_that_are_deployed(larger, smaller):
    larger, smaller = pinned(larger), pinned(smaller)
    assert {name: larger[name] for name in smaller} == smaller


def test_the_cdk_command_line_is_pinned_to_a_version_that_works():
    # npm's newest is an accidental publish that fails with aws-cdk-lib.
    assert json.loads((ROOT / "package.json").read_text())["dependencies"] == {"aws-cdk": "2.1148.1"}
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert all("integrity" in package for path, package in locked.items() if path)
