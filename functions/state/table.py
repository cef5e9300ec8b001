"""The guarded write: one conditional UpdateItem per event, no read before it."""

from functools import lru_cache
from typing import Any

from pydynox.exceptions import ConditionalCheckFailedException, PydynoxException

from functions.state.change import Change, Outcome


class WriteFailed(Exception):
    """DynamoDB did not take a write. The text names its error first: it is all that a dead letter keeps."""


class Table:
    """A DynamoDB table of which each record family is a last-writer-wins register, ordered by the family's version."""

    def __init__(self, client: Any, name: str) -> None:
        """`client` is pydynox' `DynamoDBClient`, or the core of it, whose types leave out `sync_update_item`."""
        self._client = client
        self._name = name

    def apply(self, change: Change) -> Outcome:
        """Write `change` unless the item already holds its version or a newer one.

        A write whose acknowledgement was lost is tried again by the SDK and meets its own version: a duplicate.

        Raises:
            WriteFailed: DynamoDB refused for any other reason than the condition, or could not be reached; Lambda
                delivers the event again.
        """
        try:
            self._update(snapshot_update(change))
        except ConditionalCheckFailedException as refused:
            # The types of pydynox leave out what return_values_on_condition_check_failure adds.
            item: dict[str, Any] = refused.item  # type: ignore[attr-defined]
            if item[change.version_attribute] == change.version:
                return Outcome.DUPLICATE
            if change.timeline:
                self._record_late(change)
            return Outcome.STALE
        return Outcome.APPLIED

    def _record_late(self, change: Change) -> None:
        """Complete the timeline of an item that is newer than `change`."""
        try:
            self._update(timeline_update(change))
        except ConditionalCheckFailedException:
            return  # that state was entered again, later

    def _update(self, arguments: dict[str, Any]) -> None:
        try:
            self._client.sync_update_item(self._name, **arguments)
        except ConditionalCheckFailedException:
            raise
        except PydynoxException as error:
            raise WriteFailed(
                f"{type(error).__name__}: DynamoDB did not take a write to {self._name}. {error} "
                "Lambda delivers the event again, then it is a dead letter; see docs/operations.md#redrive."
            ) from error


def snapshot_update(change: Change) -> dict[str, Any]:
    """The arguments of the UpdateItem that replaces the family's whole snapshot, if `change` is newer."""
    written = {**change.attributes, **change.derived, **change.timeline}
    kept = {name: value for name, value in written.items() if value is not None}
    cleared = tuple(name for name in written if name not in kept)
    values = {f":{number}": value for number, value in enumerate(kept.values())}
    return {
        "key": change.key,
        "expression_attribute_values": values | {":version": change.version},
        **_snapshot_expressions(tuple(kept), cleared, change.version_attribute),
    }


# There are few ways to fill in an event: each is spelt out once, not once an event.
@lru_cache(maxsize=128)
def _snapshot_expressions(kept: tuple[str, ...], cleared: tuple[str, ...], version_attribute: str) -> dict[str, Any]:
    """What an update says before it comes to its values, of which `:0` is that of the first name in `kept`.

    Every name stands behind a `#`: `type` and `state`, for two, are reserved words in DynamoDB. What stands there is a
    number, since it is sent four times, and signed.
    """
    update = "SET " + ", ".join([*(f"#{number} = :{number}" for number in range(len(kept))), "#version = :version"])
    if cleared:
        update += " REMOVE " + ", ".join(f"#{number}" for number in range(len(kept), len(kept) + len(cleared)))
    names = {f"#{number}": name for number, name in enumerate(kept + cleared)}
    return {
        "update_expression": update,
        "condition_expression": "attribute_not_exists(#version) OR #version < :version",
        "expression_attribute_names": names | {"#version": version_attribute},
        "return_values_on_condition_check_failure": True,
    }


def timeline_update(change: Change) -> dict[str, Any]:
    """The arguments of the UpdateItem that adds the state of a stale `change` to the timeline, if it has none later."""
    ((name, entered_at),) = change.timeline.items()
    return {
        "key": change.key,
        "update_expression": "SET #entered_at = :entered_at",
        "condition_expression": "attribute_not_exists(#entered_at) OR #entered_at < :entered_at",
        "expression_attribute_names": {"#entered_at": name},
        "expression_attribute_values": {":entered_at": entered_at},
    }
