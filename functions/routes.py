"""Which event goes to which function and which table. The one place that says so.

Standard library only: `infra` reads it to build the rules and the functions.
"""

from dataclasses import dataclass
from typing import Literal

SOURCE = "canvas"
CORRECTION_SOURCE = "canvas-live-state"
"""`source` of the events on the bus: what Canvas sent, and what corrects the tables."""

TableName = Literal["enrollments", "sis_batches"]


@dataclass(frozen=True, kw_only=True)
class Route:
    """The way of one Canvas event: its name, and the table that its function writes."""

    event_name: str
    table: TableName

    @property
    def handler(self) -> str:
        """Where Lambda finds the function inside the asset."""
        return f"functions.handlers.{self.event_name}.handler"

    @property
    def table_variable(self) -> str:
        """The environment variable that holds the name of the function's table."""
        return f"{self.table.upper()}_TABLE"


ROUTES = (
    Route(event_name="enrollment_created", table="enrollments"),
    Route(event_name="enrollment_updated", table="enrollments"),
    Route(event_name="enrollment_state_created", table="enrollments"),
    Route(event_name="enrollment_state_updated", table="enrollments"),
    Route(event_name="sis_batch_created", table="sis_batches"),
    Route(event_name="sis_batch_updated", table="sis_batches"),
)

ROUTE_OF = {route.event_name: route for route in ROUTES}

EVENT_NAMES = frozenset(ROUTE_OF)
