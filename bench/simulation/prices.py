"""List prices of AWS in us-east-1 without free tiers and discounts, of which `docs/performance/cost.md` has a table."""

from typing import NamedTuple

MILLION = 1_000_000


class Price(NamedTuple):
    """What `unit` costs, and the page of AWS that lists it."""

    dollars: float
    unit: str
    page: str


_EVENTBRIDGE = "https://aws.amazon.com/eventbridge/pricing/"
_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"

QUEUE_REQUESTS = Price(0.40, "SQS, million requests", "https://aws.amazon.com/sqs/pricing/")
EVENTS = Price(1.00, "EventBridge, million custom events", _EVENTBRIDGE)
ARCHIVE_GB = Price(0.10, "EventBridge archive, GB written", _EVENTBRIDGE)
ARCHIVE_GB_MONTH = Price(0.023, "EventBridge archive, GB and month", _EVENTBRIDGE)
WRITE_UNITS = Price(0.625, "DynamoDB on demand, million write units", _DYNAMODB)
READ_UNITS = Price(0.125, "DynamoDB on demand, million read units", _DYNAMODB)
INVOCATIONS = Price(0.20, "Lambda, million requests", _LAMBDA)
GB_SECONDS = Price(13.3334, "Lambda on Arm, million GB seconds", _LAMBDA)
LOG_GB = Price(0.50, "CloudWatch, GB of logs", "https://aws.amazon.com/cloudwatch/pricing/")
PRICES = [price for price in globals().values() if isinstance(price, Price)]

EVENT_BYTES = 2_000
LOG_BYTES = 600
"""Of a batch."""
WRITE_UNITS_OF_AN_EVENT = 3
"""The table and both of its indexes, at most."""


def archived_dollars(events: int) -> float:
    """The archive of so many events, kept for a month."""
    return events * EVENT_BYTES * (ARCHIVE_GB.dollars + ARCHIVE_GB_MONTH.dollars) / 1e9


def dollars(*, events: int, sent: int, archived: int, batches: int, gb_seconds: float) -> float:
    """What `events` cost that are applied in `batches`; `sent` is how many SendMessage requests there were."""
    millions = (
        events * (EVENTS.dollars + WRITE_UNITS_OF_AN_EVENT * WRITE_UNITS.dollars)
        + (sent + 2 * batches) * QUEUE_REQUESTS.dollars
        + batches * INVOCATIONS.dollars
        + gb_seconds * GB_SECONDS.dollars
    )
    return millions / MILLION + archived_dollars(archived) + batches * LOG_BYTES * LOG_GB.dollars / 1e9
