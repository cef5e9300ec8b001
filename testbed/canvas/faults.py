"""Faults that the test double injects into its answers."""

from dataclasses import dataclass
from typing import Literal, get_args

FaultKind = Literal[
    "too many requests",
    "rate limit exceeded",
    "server error",
    "disconnect",
    "credentials refused",
    "invalid client",
    "under maintenance",
    "snapshots forbidden",
    "snapshot required",
    "job fails",
    "job never completes",
    "object vanished",
    "url expired",
    "gzip truncated",
    "gzip corrupt",
]
"""Kinds of faults, by the requests that they affect:

- any request: "too many requests" (429), "server error", "disconnect" (no answer)
- REST: "rate limit exceeded" (403 of self-hosted Canvas), "credentials refused" (401)
- DAP: "credentials refused" (401), "invalid client" (401 to a login, in the form of OAuth 2.0, RFC 6749), "under
  maintenance" (403), "snapshots forbidden" (403), "snapshot required" (400 to an incremental query), "job fails" and
  "job never completes" (new jobs), "object vanished" (404 for its URL)
- files: "url expired" (403), "gzip truncated", "gzip corrupt"
"""

FAULT_KINDS: frozenset[str] = frozenset(get_args(FaultKind))


@dataclass
class Fault:
    """An active fault.

    It affects the next `times` requests, or all where that is `None`, whose `METHOD /path?query` contains `where`.
    `retry_after` (seconds, or any text) is the header of a 429, and `status` the code of a server error.
    """

    kind: FaultKind
    times: int | None = 1
    where: str = ""
    retry_after: int | str | None = 0
    status: int = 503


class Faults:
    """The active faults."""

    def __init__(self) -> None:
        self._on: list[Fault] = []

    def switch_on(self, fault: Fault) -> None:
        """Activate a fault."""
        self._on.append(fault)

    def clear(self) -> None:
        """Deactivate all faults."""
        self._on.clear()

    def take(self, request: str, *kinds: FaultKind) -> Fault | None:
        """Return the first active fault of these kinds that affects `request`, and count the request."""
        for fault in self._on:
            if fault.kind in kinds and fault.where in request and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None
