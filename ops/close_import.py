"""Ends an unfinished import by publishing a correction."""

from datetime import UTC, datetime, timedelta

from canvas_live_state import SisImport
from functions.canvas.fields import format_timestamp
from functions.canvas.ids import id_text, local_id
from functions.canvas.sis_batch import LIFE_CYCLE, UNFINISHED
from functions.routes import CORRECTION_EVENTS
from ops.failure import OperatorError
from ops.publishing import publish_correction
from ops.stage import Stage
from ops.waiting import wait_for

FINISHED = tuple(state for state in LIFE_CYCLE if state not in UNFINISHED)

_TIMEOUT_SECONDS = 90


def close_import(
    stage: Stage, account_id: str, sis_batch_id: str, state: str, *, timeout_seconds: float = _TIMEOUT_SECONDS
) -> SisImport:
    """Publish a correction that sets the state of the import; return the import once the table has it.

    Raises:
        OperatorError: no such import, not unfinished, not a finished state, or not in the table in time.
    """
    if state not in FINISHED:
        raise OperatorError(f"--as takes a state in which an import ends: {', '.join(FINISHED)}")
    if not (id_text(account_id) and id_text(sis_batch_id)):
        raise OperatorError("Account and import are positive numbers of at most 19 digits.")
    number = local_id(sis_batch_id)
    unfinished = _unfinished_import(stage, account_id, number)
    # Newer than the item, whose event may be of the near future.
    at = max(datetime.now(UTC), unfinished.event_time + timedelta(milliseconds=1))
    publish_correction(
        stage,
        CORRECTION_EVENTS["import"],
        event_time=at,
        root_account_id=account_id,  # any id of the shard will do
        body={
            "sis_batch_id": str(number),
            "account_id": str(local_id(account_id)),
            "workflow_state": state,
        },
    )
    latest = unfinished

    def table_has_it() -> bool:
        nonlocal latest
        latest = stage.reader.sis_import(account_id, number) or latest
        return latest.event_time >= at

    if not wait_for(table_has_it, seconds=timeout_seconds):
        raise OperatorError(
            f"The event was published, and the table does not have it after {timeout_seconds:g} seconds. It is "
            f"retried for {stage.settings.retry_hours} hours. Look where it is: ops status {stage.ops_options}"
        )
    if latest.workflow_state != state:
        raise OperatorError(
            f"Canvas sent a newer event meanwhile: import {account_id}/{number} is {latest.workflow_state} now."
        )
    return latest


def _unfinished_import(stage: Stage, account_id: str, number: int) -> SisImport:
    found = stage.reader.sis_import(account_id, number)
    if found is None:
        raise OperatorError(
            f"The table has no import {account_id}/{number}. The account's id is global (shard x 10^13 + local id): "
            f"ops show imports {account_id} {stage.ops_options}"
        )
    if found.workflow_state not in UNFINISHED:
        since = format_timestamp(found.event_time)
        raise OperatorError(
            f"Import {account_id}/{number} is not unfinished: it is {found.workflow_state} since {since}."
        )
    return found
