"""Canvas Data 2 of a school of any size, and the table items that match it."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from functions.projection.change import AttributeValue
from reconciliation.rows import FAMILY_OF, Row, read_row
from testbed.canvas.lake import KEY_OF, Lake, LakeTableName
from testbed.canvas.school import School

Item = dict[str, dict[str, AttributeValue]]


class LargeLake(Lake):
    """Generates the lines of large tables: repeats the rows of a small school with other ids."""

    def __init__(self, school: School, *, enrollments: int, users: int) -> None:
        super().__init__(school)
        self._counts: dict[str, int] = {"enrollments": enrollments, "enrollment_states": enrollments, "users": users}
        self._shard = school.shard

    def snapshot(self, name: LakeTableName) -> Iterator[bytes]:
        """Lines of a snapshot."""
        sample = self._sample(name)
        for number in range(self._counts[name]):
            record = sample[number % len(sample)]
            record["key"][KEY_OF[name]] = number + 1
            if name == "enrollments":
                record["value"]["user_id"] = number % self._counts["users"] + 1
            yield json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()

    def incremental(self, name: LakeTableName, since: datetime, until: datetime) -> Iterator[bytes]:  # noqa: ARG002
        """Lines of a snapshot, as if every row had changed."""
        return self.snapshot(name)

    def items(self) -> Iterator[Item]:
        """Matching items in the DynamoDB format, equal but for fractions of seconds."""
        event_time = f"{self.at('enrollments'):%Y-%m-%d}T00:00:00.000000Z"
        users = self._sample("users")
        for number, lines in enumerate(zip(*map(self.snapshot, FAMILY_OF), strict=True)):
            user = users[number % self._counts["users"] % len(users)]["value"]
            item: dict[str, AttributeValue | None] = {}
            for line, (table, family) in zip(lines, FAMILY_OF.items(), strict=True):
                row = read_row(line, table, shard=self._shard)
                assert isinstance(row, Row)
                item |= {"enrollment_id": row.enrollment_id, **row.body, f"{family}_event_time": event_time}
                item |= {f"{family}_version": f"{event_time}#01#0123456789abcdef"}
            item |= {"user_name": user["name"], "user_uuid": user["uuid"], "course_uuid": "c" * 40}
            yield {name: _stored(name, value) for name, value in item.items() if value is not None}

    def _sample(self, name: LakeTableName) -> list[dict[str, Any]]:
        return [json.loads(line) for line in super().snapshot(name)]


def _stored(name: str, value: AttributeValue) -> dict[str, AttributeValue]:
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"S": f"{str(value)[:19]}.000000Z" if name.endswith(("_at", "_until")) else value}
