"""Synthesises the CloudFormation templates of a stage in this process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import App
from aws_cdk.assertions import Template

from functions.routes import ROUTES, Route
from infra.app import build
from infra.settings import Settings, stage_settings

PROD = Settings(stage="prod", canvas_connected=True, root_account_ids=("21070000000000001", "21080000000000001"))


@dataclass(frozen=True)
class Synthesised:
    """CloudFormation templates of one stage."""

    data: Mapping[str, Any]
    pipeline: Mapping[str, Any]


def synthesise(stage: Settings | str, *, routes: Sequence[Route] = ROUTES) -> Synthesised:
    """Synthesise a stage, or the one of this name in `stages.toml`, without building the assets."""
    settings = stage if isinstance(stage, Settings) else stage_settings(stage)
    app = App(context={"aws:cdk:bundling-stacks": []})
    return Synthesised(*(Template.from_stack(stack).to_json() for stack in build(app, settings, routes=routes)))
