"""The access patterns of docs/data-model.md: each one request, repeated for each page."""

from collections.abc import Iterator
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from functions.routes import TableName
from ops.stage import Stage

Item = dict[str, Any]

_deserialise = TypeDeserializer().deserialize


def enrollment(stage: Stage, enrollment_id: str) -> Item | None:
    """One enrollment, `None` where no event of it has arrived."""
    found = stage.dynamodb.get_item(
        TableName=stage.table("enrollments"), Key={"enrollment_id": {"S": enrollment_id}}, ConsistentRead=True
    )
    return _item(found["Item"]) if "Item" in found else None


def roster(stage: Stage, course_id: str) -> Iterator[Item]:
    """A course's enrollments, sorted by user. Eventually consistent, as every index is."""
    return _query(stage, "enrollments", "course_id", {"S": course_id}, IndexName="by_course")


def enrollments_of(stage: Stage, user_id: str) -> Iterator[Item]:
    """A user's enrollments, sorted by course. Eventually consistent, as every index is."""
    return _query(stage, "enrollments", "user_id", {"S": user_id}, IndexName="by_user")


def sis_imports(stage: Stage, account_id: str) -> Iterator[Item]:
    """An account's SIS imports, newest first. `account_id` is global: shard x 10^13 + local id."""
    return _query(stage, "sis_batches", "account_id", {"S": account_id}, ScanIndexForward=False)


def _query(stage: Stage, table: TableName, key: str, value: dict[str, str], **options: Any) -> Iterator[Item]:
    pages = stage.dynamodb.get_paginator("query").paginate(
        TableName=stage.table(table),
        KeyConditionExpression="#key = :value",
        ExpressionAttributeNames={"#key": key},
        ExpressionAttributeValues={":value": value},
        **options,
    )
    for page in pages:
        yield from map(_item, page["Items"])


def _item(attributes: dict[str, Any]) -> Item:
    return {name: _deserialise(value) for name, value in attributes.items()}
