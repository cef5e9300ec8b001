"""Queries of the tables, as in docs/data-model.md. Further pages are requested while the caller iterates."""

from collections.abc import Iterator
from typing import Any, Self

import boto3
from boto3.dynamodb.types import TypeDeserializer

from canvas_live_state.records import Enrollment, RosterEntry, SisImport

_deserialise = TypeDeserializer().deserialize


class Reader:
    """Reads both tables. Its role needs the managed policy `Readers` of the data stack (output `ReadersPolicyArn`)."""

    def __init__(self, *, enrollments_table: str, sis_batches_table: str, client: Any = None) -> None:
        """Read the named tables. `client` is a DynamoDB client, by default a new one."""
        self._enrollments = enrollments_table
        self._sis_batches = sis_batches_table
        self._client = client or boto3.client("dynamodb")

    @classmethod
    def of_stage(cls, stage: str, *, session: boto3.Session | None = None) -> Self:
        """Create a reader of a deployed stage, and look up the names of its tables in SSM.

        Raises:
            LookupError: the stage is not deployed to this account and region.
        """
        session = session or boto3.Session()
        names = {table: f"/canvas-live-state/{stage}/{table}-table" for table in ("enrollments", "sis-batches")}
        found = session.client("ssm").get_parameters(Names=list(names.values()))
        if found["InvalidParameters"]:
            raise LookupError(f"SSM has no {', '.join(found['InvalidParameters'])}: check stage, account and region")
        values = {parameter["Name"]: parameter["Value"] for parameter in found["Parameters"]}
        return cls(
            enrollments_table=values[names["enrollments"]],
            sis_batches_table=values[names["sis-batches"]],
            client=session.client("dynamodb"),
        )

    def enrollment(self, enrollment_id: str) -> Enrollment | None:
        """One enrollment, `None` where no event of it has arrived. Strongly consistent."""
        item = self._get(self._enrollments, {"enrollment_id": {"S": enrollment_id}})
        return None if item is None else Enrollment.of(item)

    def roster(self, course_id: str, *, include_deleted: bool = False) -> Iterator[RosterEntry]:
        """The enrollments of a course, sorted by user. Eventually consistent, usually within a second."""
        entries = map(RosterEntry.of, self._query(self._enrollments, "course_id", course_id, IndexName="by_course"))
        return (entry for entry in entries if include_deleted or entry.workflow_state != "deleted")

    def enrollments_of(self, user_id: str, *, include_deleted: bool = False) -> Iterator[RosterEntry]:
        """The enrollments of a user, sorted by course. Eventually consistent, usually within a second."""
        entries = map(RosterEntry.of, self._query(self._enrollments, "user_id", user_id, IndexName="by_user"))
        return (entry for entry in entries if include_deleted or entry.workflow_state != "deleted")

    def sis_import(self, account_id: str, sis_batch_id: int) -> SisImport | None:
        """One SIS import, `None` where no event of it has arrived. `account_id` is global."""
        key = {"account_id": {"S": account_id}, "sis_batch_id": {"N": str(sis_batch_id)}}
        item = self._get(self._sis_batches, key)
        return None if item is None else SisImport.of(item)

    def sis_imports(self, account_id: str, *, newest_first: bool = True) -> Iterator[SisImport]:
        """The SIS imports of an account, sorted by age. `account_id` is global: shard x 10^13 + local id."""
        items = self._query(self._sis_batches, "account_id", account_id, ScanIndexForward=not newest_first)
        return map(SisImport.of, items)

    def unfinished_imports(self) -> list[SisImport]:
        """All unfinished imports, sorted by the time of their last event."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._sis_batches, IndexName="unfinished")
        keys = sorted(
            map(_item, (key for page in pages for key in page["Items"])), key=lambda key: key["unfinished_since"]
        )
        found = (self.sis_import(key["account_id"], int(key["sis_batch_id"])) for key in keys)
        return [sis_import for sis_import in found if sis_import is not None]

    def _get(self, table: str, key: dict[str, Any]) -> dict[str, Any] | None:
        found = self._client.get_item(TableName=table, Key=key, ConsistentRead=True)
        return _item(found["Item"]) if "Item" in found else None

    def _query(self, table: str, key: str, value: str, **options: Any) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=table,
            KeyConditionExpression="#key = :value",
            ExpressionAttributeNames={"#key": key},
            ExpressionAttributeValues={":value": {"S": value}},
            **options,
        )
        for page in pages:
            yield from map(_item, page["Items"])


def _item(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: _deserialise(value) for name, value in attributes.items()}
