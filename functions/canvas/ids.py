"""Canvas ids: global across shards, or local to one. Standard library only: the relay starts without pydantic."""

import re

IDS_PER_SHARD = 10**13
"""A global id is shard x 10^13 + local id. Source: the switchman gem of Canvas, `Shard::IDS_PER_SHARD`."""

# No leading zero: two spellings of one id would be two items. 19 digits: a PostgreSQL bigint.
_ID = re.compile(r"[1-9][0-9]{0,18}")


def id_text(value: object) -> str | None:
    """Convert a Canvas id, a positive whole number in a string or an integer, to text; `None` where it is not one."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def shard_of(global_id: str) -> int:
    """Number of the shard of `global_id`."""
    return int(global_id) // IDS_PER_SHARD


def global_id(canvas_id: str, *, shard: int) -> str:
    """Convert `canvas_id` to a global id; global ids stay as they are. As `Shard.global_id_for` of switchman."""
    number = int(canvas_id)
    return str(number if number >= IDS_PER_SHARD else shard * IDS_PER_SHARD + number)


def local_id(canvas_id: str) -> int:
    """Convert `canvas_id` to its local id, which is unique within its shard."""
    return int(canvas_id) % IDS_PER_SHARD
