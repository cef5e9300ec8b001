"""Projects SIS import events to items of table `sis_batches`."""

import re

from functions.canvas.ids import local_id
from functions.canvas.sis_batch import LIFE_CYCLE, UNFINISHED, SisBatchCreated, SisBatchUpdated
from functions.projection.change import Change

_UNKNOWN_RANK = 99
"""Rank of an unknown state: most likely one that Canvas added at the end of the life cycle."""

# A state becomes part of an attribute name, and Canvas may send any text.
_PLAIN_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,63}")


def import_snapshot(event: SisBatchCreated | SisBatchUpdated) -> Change:
    """Snapshot of the import after `event`, with the time at which it entered its state."""
    body = event.detail.body
    state = body.workflow_state
    event_time = event.event_time
    return Change(
        key={
            "account_id": event.detail.global_account_id,
            "sis_batch_id": local_id(body.sis_batch_id),
        },
        attributes={"workflow_state": state, "event_time": event_time},
        event_time=event_time,
        rank=_rank(event),
        version_attribute="version",
        derived={"unfinished_since": event_time if state in UNFINISHED else None},
        timeline={f"{state}_at": event_time} if _PLAIN_IDENTIFIER.fullmatch(state) else {},
        state_is_known=state in LIFE_CYCLE,
    )


def _rank(event: SisBatchCreated | SisBatchUpdated) -> int:
    if isinstance(event, SisBatchCreated):
        return 0
    state = event.detail.body.workflow_state
    return 1 + LIFE_CYCLE.index(state) if state in LIFE_CYCLE else _UNKNOWN_RANK
