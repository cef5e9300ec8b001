"""The guarded write: one conditional UpdateItem per event, no read before it."""

from contextlib import suppress
from functools import lru_cache
from typing import Any

from pydynox import DynamoDBClient
from pydynox.exceptions import ConditionalCheckFailedException

from functions.projection.change import Change, Outcome


class Table:
    """A DynamoDB table of which each record family is a last-writer-wins register, ordered by the family's version."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def apply(self, change: Change) -> Outcome:
        """Write `change` unless the item already holds its version or a newer one.

        A write whose acknowledgement was lost is sent again by the SDK and meets its own version: a duplicate.

        Raises:
            PydynoxException: the write failed for any other reason than its condition.
        """
        try:
            self._client.sync_update_item(self._name, **snapshot_update(change))
        except ConditionalCheckFailedException as refused:
            # The types of pydynox leave out what return_values_on_condition_check_failure adds.
            item: dict[str, Any] = refused.item  # type: ignore[attr-defined]
            if item[change.version_attribute] == change.version:
                return Outcome.DUPLICATE
            if change.timeline:
                with suppress(ConditionalCheckFailedException):  # that state was entered again, later
                    self._client.sync_update_item(self._name, **timeline_update(change))
            return Outcome.STALE
        return Outcome.APPLIED


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
    """The expressions of an update, in which `#0` and `:0` stand for the first of the attributes `kept`.

    A name needs its `#`: `type` and `state` are reserved words in DynamoDB. A number, since `#course_id = :course_id`
    costs 3 % more of an event: it is sent, and signed, four times (docs/adr/0007).
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
