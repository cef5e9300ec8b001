"""`ops up`, `ops down`, `ops demo`: the emulator and the stage on it."""

from ops.commands.console import console
from ops.local.checkout import ENV_FILE
from ops.local.deployment import deploy
from ops.local.emulator import Emulator
from ops.stage import Stage


def up() -> None:
    """Start the emulator, or take the running one, and deploy all stacks to it."""
    _up()
    console.print(f"The local stage is up. For your shell: source {ENV_FILE}   To end it: make down")


def down() -> None:
    """Stop the emulator. Its tables are gone with it."""
    emulator = Emulator.running()
    if emulator is None:
        console.print("Nothing runs locally.")
        return
    with console.status("stopping the emulator"):
        emulator.stop()
        ENV_FILE.unlink(missing_ok=True)
    console.print("The local stage is down.")


def demo() -> None:
    """Deploy to the emulator, send it events out of order, show the tables, stop."""
    from ops import demo as story  # noqa: PLC0415

    was_running = Emulator.running() is not None
    try:
        story.run(_up(), console)
    finally:
        if not was_running:
            down()


def _up() -> Stage:
    with console.status("starting the emulator") as status:
        emulator = Emulator.running() or Emulator.start()

        def report(step: str) -> None:
            status.update(step[: console.width - 4])

        stage = deploy(emulator, report=report)
    console.print(f"Deployed to the emulator on {emulator.endpoint}")
    return stage
