"""Entry point of the CDK: synthesises the stage that `-c stage=…` names."""

import aws_cdk as cdk

from infra.app import build
from infra.settings import stage_settings

app = cdk.App()
build(app, stage_settings(app.node.try_get_context("stage") or "dev"))
app.synth()
