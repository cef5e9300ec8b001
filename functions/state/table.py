"""The guarded write: one conditional UpdateItem per event, no read before it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from functions.state.change import AttributeValue, Change, Outcome

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Table:
    """A DynamoDB table of which each record family is a last-writer-wins register, ordered by the family's version."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        """`client` is a low-level client: only that returns a refused item as DynamoDB wrote it."""
        self._client = client
        self._name = name

    def apply(self, change: Change) -> Outcome:
        """Write `change` unless the item already holds its version or a newer one.

        A write whose acknowledgement was lost is tried again by the SDK and meets its own version: a duplicate.

        Raises:
            ClientError: DynamoDB refused for any other reason than the condition; Lambda delivers the event again.
            BotoCoreError: DynamoDB could not be reached; likewise.
        """
        try:
            self._client.update_item(TableName=self._name, **snapshot_update(change))
        except self._client.exceptions.ConditionalCheckFailedException as refused:
            # The types of boto3 leave out what ReturnValuesOnConditionCheckFailure adds.
            item: dict[str, Any] = refused.response["Item"]  # type: ignore[typeddict-item]
            if item[change.version_attribute]["S"] == change.version:
                return Outcome.DUPLICATE
            if change.timeline:
                self._record_late(change)
            return Outcome.STALE
        return Outcome.APPLIED

    def _record_late(self, change: Change) -> None:
        """Complete the timeline of an item that is newer than `change`."""
        try:
            self._client.update_item(TableName=self._name, **timeline_update(change))
        except self._client.exceptions.ConditionalCheckFailedException:
            return  # that state was entered again, later


def snapshot_update(change: Change) -> dict[str, Any]:
    """The arguments of the UpdateItem that replaces the family's whole snapshot, if `change` is newer.

    Every name stands behind a `#`: `type` and `state`, for two, are reserved words in DynamoDB.
    """
    written = {**change.attributes, **change.derived, **change.timeline, change.version_attribute: change.version}
    kept = {name: value for name, value in written.items() if value is not None}
    cleared = [name for name, value in written.items() if value is None]
    update = "SET " + ", ".join(f"#{name} = :{name}" for name in kept)
    if cleared:
        update += " REMOVE " + ", ".join(f"#{name}" for name in cleared)
    version = change.version_attribute
    return {
        "Key": _serialised(change.key),
        "UpdateExpression": update,
        "ConditionExpression": f"attribute_not_exists(#{version}) OR #{version} < :{version}",
        "ExpressionAttributeNames": {f"#{name}": name for name in written},
        "ExpressionAttributeValues": {f":{name}": value for name, value in _serialised(kept).items()},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def timeline_update(change: Change) -> dict[str, Any]:
    """The arguments of the UpdateItem that adds the state of a stale `change` to the timeline, if it has none later."""
    ((name, entered_at),) = change.timeline.items()
    return {
        "Key": _serialised(change.key),
        "UpdateExpression": "SET #entered_at = :entered_at",
        "ConditionExpression": "attribute_not_exists(#entered_at) OR #entered_at < :entered_at",
        "ExpressionAttributeNames": {"#entered_at": name},
        "ExpressionAttributeValues": {":entered_at": {"S": entered_at}},
    }


def _serialised(attributes: Mapping[str, AttributeValue]) -> dict[str, Any]:
    return {name: _attribute_value(value) for name, value in attributes.items()}


def _attribute_value(value: AttributeValue) -> dict[str, str | bool]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"S": value}
