"""Tables of the synthesised template, in moto."""

import pytest

from testbed.tables import Tables


@pytest.fixture
def tables(aws, prod):
    """Both tables, empty."""
    return Tables(prod.data)
