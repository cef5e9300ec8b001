"""Entry point of the CDK. It synthesises the stage that `-c stage=…` names."""

import sys

import aws_cdk as cdk

from infra.app import build
from infra.settings import StageError, stage_settings

app = cdk.App()
try:
    settings = stage_settings(app.node.try_get_context("stage") or "dev")
    if canvas_url := app.node.try_get_context("canvas_url"):
        settings = settings.compared_with(canvas_url)
except StageError as error:
    sys.exit(str(error))
build(app, settings)
app.synth()
