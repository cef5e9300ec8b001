"""The model of each event type, and a parser of test messages."""

import json
from typing import Any

from functions.canvas.enrollment import EnrollmentCreated, EnrollmentUpdated
from functions.canvas.enrollment_state import EnrollmentStateCreated, EnrollmentStateUpdated
from functions.canvas.event import CanvasEvent, parse_event
from functions.canvas.sis_batch import SisBatchCreated, SisBatchUpdated
from testbed.events import on_the_bus

MODELS: dict[str, type[CanvasEvent]] = {
    model.event_name: model
    for model in (
        EnrollmentCreated,
        EnrollmentUpdated,
        EnrollmentStateCreated,
        EnrollmentStateUpdated,
        SisBatchCreated,
        SisBatchUpdated,
    )
}


def parsed(event_name: str, message: Any) -> Any:
    """Wrap `message` as an EventBridge event and parse it as `event_name`."""
    return parse_event(json.dumps(on_the_bus(message, event_name)), MODELS[event_name])
