"""Sends the events of a round, and checks items, indexes and the dead-lettered message."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from functions.canvas.rejection import RejectedEvent
from ops.dead_letters import DeadLetter, DeadLetterBatch, dead_letter_queues
from ops.publishing import publish
from ops.stage import Stage
from ops.verify.report import Check, failed, ok
from ops.verify.synthetic import (
    INVALID_EVENT_NAME,
    INVALID_REASON,
    PRODUCER,
    SIS_BATCH_ID,
    Delivery,
    Event,
    Proof,
    ReservedKeys,
)
from ops.waiting import wait_for

_EVENTS_PER_SECOND = 50


def send(stage: Stage, *events: Event) -> None:
    """Send `events` to the ingestion queue, in order."""
    for _ in publish(stage, events, events_per_second=_EVENTS_PER_SECOND):
        pass


def check_items(
    stage: Stage, keys: ReservedKeys, delivery: Delivery, *, what: str, timeout_seconds: float
) -> list[Check]:
    """Wait until the tables contain the proofs of `delivery`; return a check for each function.

    A changed item proves that the function reached DynamoDB with the credentials of its role. Except on the emulator,
    its client uses TLS only.
    """

    def open_proofs() -> list[Proof]:
        items = {key: _item(stage, keys, key) for key in {proof.enrollment_id for proof in delivery.proofs}}
        return [
            proof for proof in delivery.proofs if not proof.attributes.items() <= items[proof.enrollment_id].items()
        ]

    wait_for(lambda: not open_proofs(), seconds=timeout_seconds)
    missing = {proof.event_name for proof in open_proofs()}
    transport = "plain HTTP, on the emulator" if stage.settings.runs_on_emulator else "TLS"
    return [
        ok(f"{what}: {name}", f"written with its function's role, over {transport}")
        if name not in missing
        else failed(
            f"{what}: {name}",
            f"not in the table after {timeout_seconds:g} seconds; {_whereabouts(stage)}",
            f"ops status {stage.ops_options}\nThen the log of its function; or a longer --timeout.",
        )
        for name in dict.fromkeys(proof.event_name for proof in delivery.proofs)
    ]


def check_indexes(stage: Stage, keys: ReservedKeys, *, deleted: bool, timeout_seconds: float) -> Iterator[Check]:
    """Check that the indexes contain the enrollments, or omit them once they are deleted."""
    expected = set() if deleted else set(keys.enrollments)

    def by_course() -> bool:
        return {entry.enrollment_id for entry in stage.reader.roster(keys.last)} == expected

    def by_user() -> bool:
        return all(
            {entry.enrollment_id for entry in stage.reader.enrollments_of(user_id)} == {user_id} & expected
            for user_id in keys.enrollments
        )

    for name, shows in (("by_course", by_course), ("by_user", by_user)):
        what = f"index {name}{' after the deletion' if deleted else ''}"
        if wait_for(shows, seconds=timeout_seconds):
            yield ok(what, "leaves both enrollments out" if deleted else "has both enrollments")
        else:
            yield failed(
                what,
                f"does not show what the table holds, after {timeout_seconds:g} seconds",
                f"aws dynamodb describe-table --table-name {stage.table('enrollments')} {stage.aws_options}".rstrip(),
            )


def check_dead_letter(stage: Stage, run_id: str, *, timeout_seconds: float) -> Check:
    """Wait for the invalid event of this run in its dead-letter queue, check its reason, and delete it."""
    name = "dead letter of the invalid event"
    found: list[DeadLetter] = []

    def arrived() -> bool:
        found.extend(_take(stage, run_id))
        return bool(found)

    if not wait_for(arrived, seconds=timeout_seconds):
        return failed(
            name,
            f"not in the dead-letter queue of {INVALID_EVENT_NAME} after {timeout_seconds:g} seconds; "
            f"{_whereabouts(stage)}",
            f"The log of the function names the error. Later: ops redrive {stage.ops_options} --dry-run",
        )
    (message, *_) = found
    if message.error != RejectedEvent.__name__ or not message.reason.startswith(INVALID_REASON):
        return failed(name, f"has the reason: {message.error} {message.reason}", f"Deploy it: {stage.deploy_command}")
    return ok(name, f"{message.error}: {message.reason}. Deleted.")


def _take(stage: Stage, run_id: str) -> list[DeadLetter]:
    """Delete and return the dead-lettered messages of this run. All others stay in the queue."""
    queues = [queue for queue in dead_letter_queues(stage) if queue.event_name == INVALID_EVENT_NAME]
    with DeadLetterBatch(stage, queues) as batch:
        for messages in batch.receive():
            ours = [message for message in messages if _is_of(message, run_id)]
            if ours:
                batch.remove(ours)
                return ours
    return []


def _is_of(message: DeadLetter, run_id: str) -> bool:
    try:
        metadata = json.loads(message.body)["detail"]["metadata"]
        return bool((metadata["producer"], metadata["request_id"]) == (PRODUCER, run_id))
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _item(stage: Stage, keys: ReservedKeys, enrollment_id: str | None) -> dict[str, Any]:
    """The attributes of an enrollment, or of the import with its timeline; empty where there is no item."""
    if enrollment_id is not None:
        record = stage.reader.enrollment(enrollment_id)
        return dataclasses.asdict(record) if record else {}
    sis_import = stage.reader.sis_import(keys.last, SIS_BATCH_ID)
    if sis_import is None:
        return {}
    timeline = {f"{state}_at": at for state, at in sis_import.timeline.items()}
    return {**timeline, "workflow_state": sis_import.workflow_state}


def _whereabouts(stage: Stage) -> str:
    """The queues with messages, for an error message."""
    counts = {name: stage.message_count(name) for name in sorted(stage.queues)}
    waiting = ", ".join(f"{count} in {name}" for name, count in counts.items() if count)
    return f"messages: {waiting}" if waiting else "no queue holds a message"
