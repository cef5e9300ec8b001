"""Runs the checks in order, and says what other consumers see of them."""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from functions.canvas.ids import IDS_PER_SHARD, id_text, shard_of
from ops.failure import OperatorError
from ops.stage import Stage
from ops.verify.alarm_path import check_alarm_path
from ops.verify.delivery import check_dead_letter, check_indexes, check_items, send
from ops.verify.deployment import check_archive, check_mappings, check_recipients, check_stacks
from ops.verify.report import Check, Result, failed, guarded
from ops.verify.synthetic import PRODUCER, SIS_BATCH_ID, ReservedKeys, Round

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of `ops verify`.

    Attributes:
        timeout_seconds: how long to wait for events to arrive.
        again_after_seconds: the pause before a small round is repeated; `None` for no repetition.
        root_account_id: the root account of the events; `None` for the first of the stage.
        alarms: whether to trigger and reset an alarm of each severity.
    """

    timeout_seconds: float = 180
    again_after_seconds: float | None = None
    root_account_id: str | None = None
    alarms: bool = False


def verify(stage: Stage, options: Options, *, report: Report) -> Iterator[Check]:
    """Yield the checks of the stage; `report` is called with each step.

    Raises:
        OperatorError: a stack is missing, or the root account is of a shard whose events the stage drops.
    """
    keys = reserved_keys(stage, options)
    report("how the stage is deployed")
    yield from guarded("stacks", partial(check_stacks, stage))
    yield from guarded("archive", partial(check_archive, stage))
    yield from guarded("event source mappings", partial(check_mappings, stage))
    yield from guarded("recipients of alarms", partial(check_recipients, stage))
    yield from guarded("delivery", partial(_check_delivery, stage, keys, options, report))
    if options.again_after_seconds is not None:
        report(f"waiting {options.again_after_seconds:g} seconds, for environments to be frozen")
        time.sleep(options.again_after_seconds)
        report("delivering a small round")
        yield from guarded("second delivery", partial(_check_again, stage, keys, options))
    if options.alarms:
        report("setting alarms off, and back")
        yield from guarded("alarms", partial(check_alarm_path, stage))


def reserved_keys(stage: Stage, options: Options) -> ReservedKeys:
    """The reserved ids on the shard of the school.

    Raises:
        OperatorError: the root account is not an id, or of a shard whose events the stage drops.
    """
    schools = stage.settings.root_account_ids
    root_account_id = options.root_account_id or (schools[0] if schools else str(IDS_PER_SHARD + 1))
    if id_text(root_account_id) is None:
        raise OperatorError("--root-account-id is a positive number of at most 19 digits.")
    if schools and shard_of(root_account_id) not in map(shard_of, schools):
        raise OperatorError(
            f"Events of root account {root_account_id} would be dropped as foreign: stage {stage.name} names "
            f"{', '.join(schools)} (root_account_ids in stages.toml)."
        )
    return ReservedKeys(root_account_id)


def aftermath(stage: Stage, options: Options) -> str:
    """What other consumers see of a run, and which notification to expect."""
    keys = reserved_keys(stage, options)
    updated, created = keys.enrollments
    return (
        f"What others see: the event bus, its archive and its other consumers have events with metadata.producer "
        f'"{PRODUCER}"; consumers of the tables\' streams have changes of the enrollments {updated} and {created}, and '
        f"of import {keys.last}/{SIS_BATCH_ID}. All of them end as deleted, or imported; skip these keys "
        "(docs/data-model.md). For some seconds one message was in SisBatchUpdatedDeadLetters: the alarm on "
        "dead-lettered messages (notify) may go off once, and recover by itself."
    )


def _check_delivery(stage: Stage, keys: ReservedKeys, options: Options, report: Report) -> Iterator[Check]:
    """Check a round of all six events. Its enrollments are deleted at the end, even where a check fails."""
    wait = {"timeout_seconds": options.timeout_seconds}
    now = _new_round(stage, keys)
    opening, closing = now.opening(), now.closing()
    arrived = False
    try:
        report(f"delivering {len(opening.events) + 1} events")
        send(stage, *opening.events, now.invalid())
        report("waiting for the tables")
        items = check_items(stage, keys, opening, what="delivery", **wait)
        yield from items
        arrived = all(check.result is Result.OK for check in items)
        if arrived:
            yield from check_indexes(stage, keys, deleted=False, **wait)
        report("waiting for the dead letter")
        yield check_dead_letter(stage, now.run_id, timeout_seconds=options.timeout_seconds if arrived else 0)
    finally:
        send(stage, *closing.events)
    if not arrived:
        yield failed("deletion", "sent, and not waited for", "Run it again, once the failure above is repaired.")
        return
    report("waiting for the deletion")
    yield from check_items(stage, keys, closing, what="deletion", **wait)
    yield from check_indexes(stage, keys, deleted=True, **wait)


def _check_again(stage: Stage, keys: ReservedKeys, options: Options) -> Iterator[Check]:
    small = _new_round(stage, keys).small()
    send(stage, *small.events)
    yield from check_items(stage, keys, small, what="after the pause", timeout_seconds=options.timeout_seconds)


def _new_round(stage: Stage, keys: ReservedKeys) -> Round:
    """A round that is newer than all earlier rounds, even those of a machine whose clock is ahead."""
    times = [datetime.now(UTC)]
    for enrollment in map(stage.reader.enrollment, keys.enrollments):
        known = (enrollment.enrollment_event_time, enrollment.state_event_time) if enrollment else ()
        times += [at + timedelta(milliseconds=1) for at in known if at is not None]
    return Round(keys, max(times), str(uuid.uuid4()))
