"""Creates the tables of the synthesised template in any DynamoDB engine, and reads their items."""

from collections.abc import Mapping
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer

_LOGICAL_IDS = {"Enrollments": "enrollments", "SisBatches": "sis_batches"}

Item = dict[str, Any]


class Tables:
    """Both tables, as `infra` defines them."""

    def __init__(self, data_template: Mapping[str, Any], **client: Any) -> None:
        self.client = boto3.client("dynamodb", **client)
        for resource_id, resource in data_template["Resources"].items():
            for prefix, name in _LOGICAL_IDS.items():
                if resource["Type"] == "AWS::DynamoDB::GlobalTable" and resource_id.startswith(prefix):
                    self._create(name, resource["Properties"])

    def _create(self, name: str, properties: dict[str, Any]) -> None:
        described = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
        self.client.create_table(TableName=name, **{part: properties[part] for part in described if part in properties})

    def items(self, table: str) -> list[Item]:
        """All items of `table`, in a stable order."""
        pages = self.client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        items = [_plain(item) for page in pages for item in page["Items"]]
        return sorted(items, key=repr)

    def item(self, table: str) -> Item:
        """The only item of `table`."""
        (item,) = self.items(table)
        return item

    def query(self, table: str, index: str, key: str, value: str) -> list[Item]:
        """Items of `index` whose `key` is `value`."""
        found = self.client.query(
            TableName=table,
            IndexName=index,
            KeyConditionExpression=f"{key} = :value",
            ExpressionAttributeValues={":value": {"S": value}},
        )
        return [_plain(item) for item in found["Items"]]


def _plain(item: dict[str, Any]) -> Item:
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}
