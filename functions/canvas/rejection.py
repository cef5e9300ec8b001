"""Why an event is refused, said to the operator: the field and the rule, never the value."""

from datetime import datetime, timedelta
from typing import Self

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from functions.canvas.event import CanvasEvent

_WHAT_NEXT = "The event is in the dead-letter queue; see docs/operations.md#rejected-events."

_WHY_NEEDED = {
    "metadata.event_name": ", so nothing tells which event this is",
    "metadata.event_time": ", so the event cannot be ordered",
    "metadata.root_account_id": ", so the import cannot be told from another school's import with the same id",
}


class RejectedEvent(Exception):
    """An event that can never be applied: it cannot be placed or ordered. Delivering it again does not help."""

    @classmethod
    def because(cls, event_name: str, reason: str) -> Self:
        """A rejection whose text is safe to log: `reason` holds no value of the event."""
        return cls(f"{event_name}: {reason}. {_WHAT_NEXT}")

    @classmethod
    def invalid(cls, event_name: str, error: ValidationError) -> Self:
        """The rejection of an event that its model refused."""
        return cls.because(
            event_name, "; ".join(map(_sentence, error.errors(include_url=False, include_context=False)))
        )


def reject_future(event: CanvasEvent, *, now: datetime, tolerance: timedelta) -> None:
    """Refuse an event from the future: being newer than all that follow, it would freeze its item.

    Raises:
        RejectedEvent: `event_time` is more than `tolerance` after `now`.
    """
    if event.instant > now + tolerance:
        minutes = tolerance.total_seconds() / 60
        raise RejectedEvent.because(
            event.event_name, f"metadata.event_time is more than {minutes:g} minutes in the future"
        )


def _sentence(error: ErrorDetails) -> str:
    path = ".".join(str(part) for part in error["loc"] if part != "detail") or "the message"
    # Null and missing mean the same in Canvas.
    if error["type"] == "missing" or error["input"] is None:
        return f"{path} is missing{_WHY_NEEDED.get(path, '')}"
    # Our own rules begin with their verb; pydantic's are whole sentences.
    return f"{path} {error['msg'] if error['msg'][0].islower() else 'is invalid: ' + error['msg']}"
