"""Corrections: ordinary events with the state of Canvas, which the event path applies like any other."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from functions.projection.change import AttributeValue
from functions.routes import CORRECTION_SOURCE

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef


@dataclass(frozen=True, kw_only=True)
class Correction:
    """An event that Canvas should have sent.

    Attributes:
        event_name: one of the six.
        event_time: in the stored form.
        root_account_id: any global id on the shard of the school.
        body: the body of the Canvas event, without nulls.
    """

    event_name: str
    event_time: str
    root_account_id: str
    body: Mapping[str, AttributeValue]

    @property
    def detail(self) -> dict[str, Any]:
        """The Canvas message."""
        metadata = {
            "event_name": self.event_name,
            "event_time": self.event_time,
            "producer": CORRECTION_SOURCE,
            "root_account_id": self.root_account_id,
        }
        return {"metadata": metadata, "body": dict(self.body)}

    def entry(self, event_bus: str) -> "PutEventsRequestEntryTypeDef":
        """The entry of a PutEvents request to `event_bus`."""
        return {
            "EventBusName": event_bus,
            "Source": CORRECTION_SOURCE,
            "DetailType": self.event_name,
            "Detail": json.dumps(self.detail),
        }

    def to_json(self) -> str:
        """One line of a file of corrections."""
        return json.dumps(self.detail, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """Parse a line that `to_json` wrote."""
        detail = json.loads(line)
        metadata = detail["metadata"]
        return cls(
            event_name=metadata["event_name"],
            event_time=metadata["event_time"],
            root_account_id=metadata["root_account_id"],
            body=detail["body"],
        )
