"""Tests."""

import testbed.environment  # noqa: F401  # before the functions are imported
