"""Entry point of the CDK: synthesises the stage that `-c stage=…` names."""

import aws_cdk as cdk

from infra.app import build

app = cdk.App()
build(app)
app.synth()
