"""Names and uuids of all users, in a SQLite file: a dict of five million users would take 1.6 GB of memory."""

import json
import sqlite3
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any, Self

from functions.canvas.ids import global_id, id_text
from reconciliation.judgement import User
from reconciliation.rows import TRUNCATED

_USERS_PER_COMMIT = 10_000
_CACHE_KIB = 4096
_GREATEST_ID = 2**63 - 1
"""The greatest integer of SQLite, and of the PostgreSQL database of Canvas."""

_UserRow = tuple[int, str | None, str | None]


class Names:
    """The users of a school by their global ids, in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        # No journal: after a failure the file is built again.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT, uuid TEXT)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    async def add(self, lines: AsyncIterable[bytes], *, shard: int) -> None:
        """Add the users of `lines`, rows of table `users`. Rows that cannot be parsed are skipped."""
        rows: list[_UserRow] = []
        async for line in lines:
            row = _read(line, shard)
            if row is not None:
                rows.append(row)
            if len(rows) == _USERS_PER_COMMIT:
                self._insert(rows)
                rows = []
        self._insert(rows)

    def lookup(self, user_id: str) -> User | None:
        """The user with the global id `user_id`, `None` where there is none."""
        number = int(user_id)
        if number > _GREATEST_ID:
            return None
        found = self._database.execute("SELECT name, uuid FROM users WHERE id = ?", (number,)).fetchone()
        return None if found is None else User(*found)

    def _insert(self, rows: list[_UserRow]) -> None:
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO users VALUES (?, ?, ?)", rows)


def _read(line: bytes, shard: int) -> _UserRow | None:
    try:
        record = json.loads(line)
        user_id, value = id_text(record["key"]["id"]), record["value"]
        if user_id is None or record.get("meta", {}).get("action") == "D":
            return None
        number = int(global_id(user_id, shard=shard))
        return (number, _text(value.get("name")), _text(value.get("uuid"))) if number <= _GREATEST_ID else None
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
        return None


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or value == TRUNCATED:
        return None
    value.encode()  # ValueError for half a surrogate pair
    return value
