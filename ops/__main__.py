"""`python -m ops`, which `.venv/bin/ops` runs."""

from ops.cli import main

main()
