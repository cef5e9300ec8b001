"""The options of every command of a stage: `--stage`, `--profile` and `--region`."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from infra.settings import stage_settings
from ops.failure import OperatorError
from ops.local.deployment import STAGE as LOCAL_STAGE
from ops.local.deployment import running_stage
from ops.session import open_session
from ops.stage import Stage

_OPTIONS = {
    "stage": (
        LOCAL_STAGE,
        Annotated[str, typer.Option("--stage", envvar="OPS_STAGE", help="a stage of stages.toml")],
    ),
    "profile": (None, Annotated[str | None, typer.Option("--profile", help="profile of AWS credentials")]),
    "region": (None, Annotated[str | None, typer.Option("--region", help="AWS region, instead of that of the stage")]),
}


def at_stage(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options `--stage`, `--profile` and `--region` to `command`, whose first parameter is the `Stage`."""
    signature = inspect.signature(command, eval_str=True)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (default, annotation) in _OPTIONS.items()
    ]

    @functools.wraps(command)
    def at_named_stage(*, stage: str, profile: str | None, region: str | None, **arguments: Any) -> None:
        command(open_stage(stage, profile=profile, region=region), **arguments)

    parameters = [*list(signature.parameters.values())[1:], *options]
    # Typer reads both.
    at_named_stage.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    at_named_stage.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return at_named_stage


def open_stage(name: str, *, profile: str | None = None, region: str | None = None) -> Stage:
    """Open the stage `name` of stages.toml, with an AWS session.

    Raises:
        OperatorError: the local stage is not running, or AWS cannot be reached as the options say.
        StageError: there is no such stage, or one of its settings is wrong.
    """
    if name == LOCAL_STAGE:
        if profile or region:
            raise OperatorError("--profile and --region choose an AWS account: name its stage, too, with --stage.")
        return running_stage()
    settings = stage_settings(name)
    return Stage(settings, open_session(settings, profile=profile, region=region), profile=profile)
