"""Paths of this checkout."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = ROOT / ".local"
"""Where `make setup` puts the emulator. Not in git."""
LOCAL = Path(os.environ.get("OPS_LOCAL", INSTALLED))
"""Where `make up` writes: the emulator's log and state, and `env` for the shell. `OPS_LOCAL` names another folder, so
that two local stages can run side by side."""
ENV_FILE = LOCAL / "env"
