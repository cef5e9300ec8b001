"""Canvas ids: global across shards, or local to one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.canvas.ids import IDS_PER_SHARD, global_id, id_text, local_id, shard_of


@pytest.mark.parametrize("written", ["21070000000046825", 21070000000046825])
def test_an_id_is_text_however_it_was_written(written):
    assert id_text(written) == "21070000000046825"


@pytest.mark.parametrize(
    "not_an_id",
    [None, "", "abc", "-1", 0, -1, "0", "007", "1.0", 1.0, True, "2107~565", "١٢", " 1", "1\n", "1" * 20, 10**19, []],
)
def test_what_is_no_positive_number_of_at_most_19_digits_is_no_id(not_an_id):
    assert id_text(not_an_id) is None


@pytest.mark.parametrize(
    ("canvas_id", "shard", "local"),
    [
        ("1", 0, 1),
        ("9999999999999", 0, 9999999999999),
        ("10000000000000", 1, 0),
        ("10000000000001", 1, 1),
        ("21070000000000001", 2107, 1),
        ("9223372036854775807", 922337, 2036854775807),
    ],
)
def test_the_last_thirteen_digits_of_an_id_are_local_and_the_rest_is_the_shard(canvas_id, shard, local):
    assert (shard_of(canvas_id), local_id(canvas_id)) == (shard, local)


@pytest.mark.parametrize(
    ("canvas_id", "expected"),
    [
        ("1", "21070000000000001"),
        ("9999999999999", "21079999999999999"),
        ("10000000000000", "10000000000000"),
        ("30000000000000009", "30000000000000009"),
    ],
)
def test_a_local_id_becomes_global_and_a_global_one_stays_as_it_is(canvas_id, expected):
    assert global_id(canvas_id, shard=2107) == expected


@given(st.integers(1, IDS_PER_SHARD - 1), st.integers(0, 900_000))
def test_a_global_id_says_of_which_shard_it_is_and_which_local_id_it_was(local, shard):
    unique = global_id(str(local), shard=shard)
    assert (shard_of(unique), local_id(unique)) == (shard, local)
