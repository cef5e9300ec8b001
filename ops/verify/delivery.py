"""Sends a round's events, and checks what arrives: items, indexes, timeline, and the dead-lettered message."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

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
_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


def send(stage: Stage, *events: Event) -> None:
    """Put `events` into the ingestion queue, in order."""
    for _ in publish(stage, events, events_per_second=_EVENTS_PER_SECOND):
        pass


def check_items(
    stage: Stage, keys: ReservedKeys, delivery: Delivery, *, what: str, timeout_seconds: float
) -> list[Check]:
    """Wait until the tables hold what `delivery` must leave; a check for each function.

    An item that changed proves that the function's client reached DynamoDB with the credentials of its role, over TLS:
    without an endpoint of the emulator, the client knows nothing else.
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
    """Whether the indexes show the enrollments as active; once these are deleted, whether a roster leaves them out."""
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
    """Wait for the invalid event of this run in its dead-letter queue; check its reason, and delete it, and only it."""
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
    (letter, *_) = found
    if letter.error != "RejectedEvent" or not letter.reason.startswith(INVALID_REASON):
        return failed(name, f"has the reason: {letter.error} {letter.reason}", f"Deploy it: {stage.deploy_command}")
    return ok(name, f"{letter.error}: {letter.reason}. Deleted.")


def _take(stage: Stage, run_id: str) -> list[DeadLetter]:
    """The dead-lettered messages of this run, deleted from their queue. All others stay in it, visible."""
    queues = [queue for queue in dead_letter_queues(stage) if queue.event_name == INVALID_EVENT_NAME]
    with DeadLetterBatch(stage, queues) as batch:
        for letters in batch.receive():
            ours = [letter for letter in letters if _is_of(letter, run_id)]
            if ours:
                batch.remove(ours)
                return ours
    return []


def _is_of(letter: DeadLetter, run_id: str) -> bool:
    try:
        metadata = json.loads(letter.body)["detail"]["metadata"]
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
    """In which queues there are messages."""
    sqs = stage.client("sqs")
    counts = {}
    for name, url in stage.queues.items():
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))["Attributes"]
        counts[name] = sum(int(attributes[count]) for count in _COUNTS)
    waiting = ", ".join(f"{count} in {name}" for name, count in sorted(counts.items()) if count)
    return f"messages: {waiting}" if waiting else "no queue holds a message"
