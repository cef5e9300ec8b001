"""Validates the templates with the schemas of CloudFormation, before a deployment fails half-way."""

import json

import pytest
from cfnlint import ManualArgs
from cfnlint.api import lint

from testbed.stacks import synthesise
from tests.infra.conftest import RECONCILED

pytestmark = pytest.mark.slow

REGIONS = ["us-east-1", "ca-central-1"]
# The CDK adds a DependsOn even where a Ref or GetAtt orders two resources.
WRITTEN_BY_THE_CDK = ["W3005"]


@pytest.mark.parametrize("stage", ["dev", pytest.param(RECONCILED, id="prod, compared with Canvas")])
def test_cfn_lint_finds_nothing(stage):
    templates = synthesise(stage)
    config = ManualArgs(regions=REGIONS, ignore_checks=WRITTEN_BY_THE_CDK)
    for template in (templates.data, templates.pipeline):
        assert [str(found) for found in lint(json.dumps(template), config=config)] == []
