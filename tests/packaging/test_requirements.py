"""Requirements files: development and operation use the deployed versions. pip and uv check the hashes."""

import json
import re

import pytest

from testbed.events import ROOT


def pinned(file):
    """Pinned versions by requirement name."""
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", (ROOT / file).read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    ("larger", "smaller"),
    [("requirements.txt", "requirements-operate.txt"), ("requirements-operate.txt", "functions/requirements.txt")],
)
def test_development_and_operation_use_the_very_versions_that_are_deployed(larger, smaller):
    larger, smaller = pinned(larger), pinned(smaller)
    assert smaller
    assert {name: larger[name] for name in smaller} == smaller


def test_the_cdk_command_line_is_pinned_to_a_version_that_works():
    # The newest release on npm was published by accident and fails with aws-cdk-lib.
    assert json.loads((ROOT / "package.json").read_text())["dependencies"] == {"aws-cdk": "2.1148.1"}
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert all("integrity" in package for path, package in locked.items() if path)
