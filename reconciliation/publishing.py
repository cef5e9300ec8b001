"""Publishes corrections to the event bus, at a limited rate and with retries."""

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from reconciliation.aws import aws_client
from reconciliation.correction import Correction
from reconciliation.failure import STAGE_OPTION, CorrectionRefused, TemporaryFailure

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

_ENTRIES_PER_REQUEST = 10
_BYTES_PER_REQUEST = 256 * 1024
"""Limit of PutEvents, which AWS has raised since. Source: EventBridge user guide, "PutEvents event entry size"."""

_ATTEMPTS = 8
_BACKOFF_SECONDS = 0.2


class RateLimit:
    """A rate limit of `per_second` entries a second."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._next_at = 0.0

    def wait(self, number: int) -> None:
        """Wait until `number` entries may be sent."""
        now = _clock()
        _sleep(max(0.0, self._next_at - now))
        self._next_at = max(self._next_at, now) + number / self._per_second


def publish(corrections: Iterable[Correction], event_bus: str, rate: RateLimit) -> Iterator[int]:
    """Publish `corrections` to `event_bus`; yield the number of corrections of each request.

    Publishing a correction again changes nothing: the event function finds its version in the item.

    Raises:
        CorrectionRefused: the event bus rejects a correction as malformed.
        TemporaryFailure: the retries are exhausted.
    """
    for entries in _requests(correction.entry(event_bus) for correction in corrections):
        rate.wait(len(entries))
        _put(entries)
        yield len(entries)


def _requests(
    entries: Iterable["PutEventsRequestEntryTypeDef"],
) -> Iterator[list["PutEventsRequestEntryTypeDef"]]:
    request: list[PutEventsRequestEntryTypeDef] = []
    size = 0
    for entry in entries:
        entry_size = _size(entry)
        if request and (len(request) == _ENTRIES_PER_REQUEST or size + entry_size > _BYTES_PER_REQUEST):
            yield request
            request, size = [], 0
        request.append(entry)
        size += entry_size
    if request:
        yield request


def _put(entries: list["PutEventsRequestEntryTypeDef"]) -> None:
    """Send `entries`, and retry those that the event bus does not accept."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            _sleep(_BACKOFF_SECONDS * 2**attempt)
        results = aws_client("events").put_events(Entries=entries)["Entries"]
        codes = {result.get("ErrorCode") for result in results} - {None}
        if "MalformedDetail" in codes:  # "non-retryable": EventBridge API reference, "PutEventsResultEntry"
            raise CorrectionRefused(
                "The event bus rejects a correction as malformed, so this run publishes no more. Report it as a fault "
                f"of this project. What is not corrected yet: ops reconcile {STAGE_OPTION} --dry-run"
            )
        entries = [entry for entry, result in zip(entries, results, strict=True) if result.get("ErrorCode")]
        if not entries:
            return
    raise TemporaryFailure(f"The event bus does not accept corrections ({', '.join(sorted(codes))}).")


def _size(entry: "PutEventsRequestEntryTypeDef") -> int:
    # The JSON is ASCII, so a character is a byte.
    return len(entry["Source"]) + len(entry["DetailType"]) + len(entry["Detail"])


# Replaced in tests.
_sleep = time.sleep
_clock = time.monotonic
