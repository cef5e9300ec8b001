"""Names of users: read from rows of Canvas Data 2, found by global id, in bounded memory."""

import asyncio
import json
import tracemalloc

import pytest

from reconciliation import names as module
from reconciliation.judgement import User
from reconciliation.names import Names

SHARD = 2107


def row(user_id, meta=None, **value):
    return json.dumps({"key": {"id": user_id}, "value": value, "meta": meta or {"ts": "2026-01-01T00:00:00Z"}}).encode()


async def each(lines):
    for line in lines:
        yield line


@pytest.fixture
def names(tmp_path):
    with Names(tmp_path / "names.sqlite") as names:
        yield names


def add(names, *lines):
    asyncio.run(names.add(each(lines), shard=SHARD))


def test_a_user_is_found_by_its_global_id_whichever_shard_it_is_of(names):
    add(names, row(7, name="Ada", uuid="a"), row(21080000000000007, name="王 Zoë", uuid="b"))
    assert names.lookup("21070000000000007") == User("Ada", "a")
    assert names.lookup("21080000000000007") == User("王 Zoë", "b")
    assert names.lookup("7") is names.lookup("21070000000000008") is None


def test_a_name_that_a_row_does_not_have_is_unknown(names):
    add(names, row(1, uuid="a"), row(2, name="__cd2_oversized_truncated__", uuid=None), row(3, name=7))
    assert [names.lookup(f"2107000000000000{number}") for number in (1, 2, 3)] == [
        User(None, "a"),
        User(None, None),
        User(None, None),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"upstream connect error",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"key": {"id": 1}}',
        b'{"key": {"id": 1}, "value": null}',
        b'{"key": 1, "value": {}}',
        b'{"value": {}}',
        b'{"key": {"id": 1}, "value": {}, "meta": 7}',
        b'{"key": {"id": 1}, "value": {"name": "\\ud800"}}',
        row("one", name="Ada"),
        row(-1, name="Ada"),
        row(9999999999999999999, name="Ada"),
        row(1, name="Ada", meta={"action": "D"}),
    ],
)
def test_an_unreadable_row_is_left_out_and_disturbs_no_other(names, line):
    add(names, row(5, name="Emmy"), line, row(6, name="Kurt"))
    assert names.lookup("21070000000000001") is None
    assert [names.lookup(f"2107000000000000{number}").name for number in (5, 6)] == ["Emmy", "Kurt"]


def test_an_id_that_no_database_has_is_nobody(names):
    assert names.lookup("9999999999999999999") is None


def test_of_two_rows_of_one_user_the_later_counts(names):
    add(names, row(1, name="Ada"))
    add(names, row(1, name="Ada Lovelace"))
    assert names.lookup("21070000000000001").name == "Ada Lovelace"


def test_the_file_keeps_its_users(tmp_path):
    with Names(tmp_path / "names.sqlite") as names:
        add(names, row(1, name="Ada"))
    with Names(tmp_path / "names.sqlite") as names:
        user = names.lookup("21070000000000001")
    assert user
    assert user.name == "Ada"


def test_memory_does_not_grow_with_the_number_of_users(names, monkeypatch):
    # GIVEN generated rows
    monkeypatch.setattr(module, "_USERS_PER_COMMIT", 500)

    async def rows(number):
        for user_id in range(1, number + 1):
            yield row(user_id, name="Ada", uuid="a" * 40)

    # WHEN ten times as many are read, THEN the peak memory is the same (that of SQLite is bounded by its cache)
    peaks = []
    for number in (1_000, 10_000):
        tracemalloc.start()
        asyncio.run(names.add(rows(number), shard=SHARD))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5
