"""Names and uuids of all users, in a SQLite file: a dict of five million users would take 1.6 GB of memory."""

import json
import sqlite3
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any, Self

from functions.canvas.ids import global_id, id_text
from reconciliation.verdict import User

_USERS_PER_COMMIT = 10_000
_CACHE_KIB = 4096
_GREATEST_ID = 2**63 - 1
"""Of SQLite, and of the PostgreSQL that the ids come from."""

_TRUNCATED = "__cd2_oversized_truncated__"
"""Stands for a text that is too long. Source: Instructure, "Canvas Data 2 technical FAQ"."""

_UserRow = tuple[int, str | None, str | None]


class Names:
    """The users of a school by their global ids, in the file `path`."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        # No journal: the file is made anew where anything fails.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT, uuid TEXT)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    async def add(self, lines: AsyncIterable[bytes], *, shard: int) -> None:
        """Add the users of `lines`, rows of table `users`; those that cannot be read are left out."""
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
        """What is known of the user with the global id `user_id`."""
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
    if not isinstance(value, str) or value == _TRUNCATED:
        return None
    value.encode()  # half a surrogate pair is no text: ValueError
    return value
