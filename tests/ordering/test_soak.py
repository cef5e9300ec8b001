"""The soak of `make soak`, at a size that a test can afford."""

import random

import pytest

from tests.ordering.soak import faulty_engine, soak


@pytest.mark.slow
def test_a_short_soak_loses_nothing_and_ends_as_the_oracle_says(tmp_path):
    # GIVEN a DynamoDB that fails one request in twenty
    with faulty_engine(tmp_path) as engine:
        # WHEN five hundred events, shuffled, duplicated and some of them invalid, are told
        report = soak(engine, random.Random(1), 500)

    # THEN every kind of thing happened, nothing is lost, and no item differs
    assert report.outcomes.keys() == {"Applied", "Duplicate", "Stale", "Rejected"}
    assert report.redelivered > 0
    assert (report.lost, report.differing) == (0, 0)
