"""The tables of the template, in moto."""

import pytest

from tests.tables import Tables


@pytest.fixture
def tables(aws, prod):
    """Both tables, empty."""
    return Tables(prod.state)
