"""The soak of `make soak`, at a size that a test can afford."""

import random

import pytest

from tests.ordering.soak import soak


@pytest.mark.slow
def test_a_short_soak_loses_nothing_and_ends_as_the_oracle_says(local_engine, tmp_path):
    # WHEN events that are shuffled, duplicated and some of them invalid are delivered by three workers at once to a
    # DynamoDB that fails one request in twenty
    report = soak(local_engine, tmp_path, random.Random(1), 400, workers=3)

    # THEN every kind of thing happened, nothing is lost, and no item differs
    assert all(report.pop(name) == 0 for name in ("lost", "items differing from the oracle"))
    assert all(report.values())
