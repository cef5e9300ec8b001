"""`ops up`, `ops down`, `ops demo`: the emulator and the stage on it."""

from pathlib import Path
from typing import Annotated

import typer

from ops.commands.console import console
from ops.local.canvas import DoubleOfCanvas
from ops.local.checkout import ENV_FILE
from ops.local.deployment import deploy
from ops.local.emulator import Emulator
from ops.stage import Stage

_ENROLLMENTS = 3000
_ENROLLMENTS_OF_DEMO = 120


def up(
    enrollments: Annotated[int, typer.Option(help="of the school in the double of Canvas", min=1)] = _ENROLLMENTS,
) -> None:
    """Start the emulator and a double of Canvas, or take the running ones, and deploy all stacks."""
    _up(enrollments)
    console.print(f"The local stage is up. For your shell: source {ENV_FILE}   To end it: make down")


def down() -> None:
    """Stop the emulator and the double of Canvas. The tables are gone with them."""
    running = [server for server in (Emulator.running(), DoubleOfCanvas.running()) if server is not None]
    if not running:
        console.print("Nothing runs locally.")
        return
    with console.status("stopping the local stage"):
        for server in running:
            server.stop()
        ENV_FILE.unlink(missing_ok=True)
    console.print("The local stage is down.")


def demo(
    picture: Annotated[Path | None, typer.Option(help="also write the resulting tables to this file, as SVG")] = None,
) -> None:
    """Deploy to the emulator, send it events out of order, compare it with Canvas, show the tables, stop."""
    from ops import demo as story  # noqa: PLC0415

    was_running = Emulator.running() is not None
    try:
        story.run(*_up(_ENROLLMENTS_OF_DEMO), console, picture)
    finally:
        if not was_running:
            down()


def _up(enrollments: int) -> tuple[Stage, DoubleOfCanvas]:
    with console.status("starting the emulator") as status:
        emulator = Emulator.running() or Emulator.start()
        canvas = DoubleOfCanvas.running() or DoubleOfCanvas.start(enrollments=enrollments)

        def report(step: str) -> None:
            status.update(step[: console.width - 4])

        stage = deploy(emulator, canvas, report=report)
    console.print(f"Deployed to the emulator on {emulator.endpoint}, with a double of Canvas on {canvas.url}")
    return stage, canvas
