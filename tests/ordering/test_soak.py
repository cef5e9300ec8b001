"""A short run of `make soak`."""

import random

import pytest

from tests.ordering.soak import soak


@pytest.mark.slow
def test_a_short_soak_loses_nothing_and_ends_with_the_tables_of_the_oracle(local_engine, tmp_path):
    # WHEN two workers deliver shuffled, duplicated and invalid events, and one DynamoDB request in twenty fails
    report = soak(local_engine, tmp_path, random.Random(1), 150, workers=2)

    # THEN every outcome occurs, no event is lost, and no item differs
    assert all(report.pop(name) == 0 for name in ("lost", "items differing from the oracle"))
    assert all(report.values())
