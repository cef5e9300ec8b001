"""Queues as all of ours are: encrypted, polled long, and open to TLS only where there is TLS."""

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.retention import removal_policy
from infra.settings import Settings

_LONG_POLLING = cdk.Duration.seconds(20)

# A message keeps its enqueue time when SQS moves it to the dead-letter queue, so that queue must retain it longer.
# Source: Amazon SQS developer guide, "Using dead-letter queues".
_RETENTION = cdk.Duration.days(10)
_DEAD_LETTER_RETENTION = cdk.Duration.days(14)


def dead_letter_queue(scope: Construct, construct_id: str, *, settings: Settings) -> sqs.Queue:
    """A queue that keeps messages that failed for as long as SQS can: two weeks."""
    return _queue(scope, construct_id, settings=settings, retention_period=_DEAD_LETTER_RETENTION)


def source_queue(
    scope: Construct,
    construct_id: str,
    *,
    dead_letters: sqs.IQueue,
    settings: Settings,
    queue_name: str | None = None,
) -> sqs.Queue:
    """A queue that a function consumes; a message that was received too often moves to `dead_letters`."""
    return _queue(
        scope,
        construct_id,
        settings=settings,
        queue_name=queue_name,
        retention_period=_RETENTION,
        visibility_timeout=cdk.Duration.seconds(settings.visibility_seconds),
        dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=settings.max_receive_count),
    )


def _queue(scope: Construct, construct_id: str, *, settings: Settings, **properties: object) -> sqs.Queue:
    return sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=not settings.runs_on_emulator,
        receive_message_wait_time=_LONG_POLLING,
        removal_policy=removal_policy(settings),
        **properties,  # type: ignore[arg-type]
    )
