"""`ops`: the operator's command line."""

import sys

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from infra.settings import StageError
from ops.aws_errors import explain
from ops.commands import dead_letters, events, health, local_stage, reconciliation, state
from ops.failure import OperatorError

app = typer.Typer(help="Operate the state of Canvas enrollments and SIS imports.", no_args_is_help=True)
for command in (
    local_stage.up,
    local_stage.down,
    local_stage.demo,
    health.status,
    health.verify,
    events.publish,
    events.replay,
    dead_letters.redrive,
    reconciliation.backfill,
    reconciliation.reconcile,
    reconciliation.drift,
    state.close_import,
):
    app.command()(command)
app.add_typer(state.show, name="show")


def main() -> None:
    """Run the command line; a failure is one message to the operator and exit status 1."""
    try:
        app(prog_name="ops")
    except (OperatorError, StageError) as error:
        _fail(str(error))
    except (BotoCoreError, ClientError) as error:
        _fail(explain(error))


def _fail(message: str) -> None:
    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)
