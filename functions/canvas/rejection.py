"""Errors of messages that can never succeed. Standard library only: the relay starts without pydantic."""


class RejectedEvent(Exception):
    """Raised for an event that can never be applied, so that retries are useless.

    The text names the field and the rule, never a value of the event.
    """


class UnreadableMessage(RejectedEvent):
    """Raised for a message that is not a Canvas live event."""
