"""The handler and the table of each Canvas event. Standard library only, since `infra` builds the stacks from it."""

from dataclasses import dataclass
from typing import Literal, get_args

PROJECT = "canvas-live-state"
SOURCE = "canvas"
CORRECTION_SOURCE = PROJECT
"""`source` of the events on the bus: sent by Canvas, or correcting the tables."""

TableName = Literal["enrollments", "sis_batches"]

Family = Literal["enrollment", "state", "import"]
"""A record family: attributes of an item that are written together, with a version of their own."""
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True, kw_only=True)
class Route:
    """Route of one Canvas event: its name, the table that its function writes, and the family that it corrects."""

    event_name: str
    table: TableName
    corrects: Family | None = None

    @property
    def handler(self) -> str:
        """The handler setting of the Lambda function."""
        return f"functions.handlers.{self.event_name}.handler"

    @property
    def construct_id(self) -> str:
        """Id of the route in the stack, with which the names of its queues begin: `EnrollmentCreated`, for example."""
        return self.event_name.title().replace("_", "")

    @property
    def table_variable(self) -> str:
        """The environment variable that holds the name of the function's table."""
        return f"{self.table.upper()}_TABLE"


ROUTES = (
    Route(event_name="enrollment_created", table="enrollments"),
    Route(event_name="enrollment_updated", table="enrollments", corrects="enrollment"),
    Route(event_name="enrollment_state_created", table="enrollments"),
    Route(event_name="enrollment_state_updated", table="enrollments", corrects="state"),
    Route(event_name="sis_batch_created", table="sis_batches"),
    Route(event_name="sis_batch_updated", table="sis_batches", corrects="import"),
)

ROUTE_OF = {route.event_name: route for route in ROUTES}
EVENT_NAMES = frozenset(ROUTE_OF)
CORRECTION_EVENTS = {route.corrects: route.event_name for route in ROUTES if route.corrects is not None}
"""The event that corrects each record family."""
