"""The processes that run the tests."""

import pytest


def test_what_a_file_sets_up_is_set_up_in_one_process(request):
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("only pytest --numprocesses … --dist loadgroup groups the tests")
    # pytest-xdist appends a test's group to its id. With a pytest that it does not know, it groups nothing, silently.
    assert request.node.nodeid.endswith("@test_parallel")
