"""Distribution of the tests over parallel processes."""

import pytest


def test_fixtures_of_a_file_are_set_up_in_one_process(request):
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("only pytest --numprocesses … --dist loadgroup groups the tests")
    # pytest-xdist appends the group of a test to its id. With an unsupported pytest it silently groups nothing.
    assert request.node.nodeid.endswith("@test_parallel")
