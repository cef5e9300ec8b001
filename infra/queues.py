"""SQS queues with encryption, long polling, and access by TLS only, except on the emulator."""

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.retention import removal_policy
from infra.settings import DEAD_LETTER_DAYS, Settings

_LONG_POLLING = cdk.Duration.seconds(20)

# Shorter than that of dead-letter queues: a message keeps its enqueue time when SQS moves it. Source: Amazon SQS
# developer guide, "Using dead-letter queues".
_RETENTION = cdk.Duration.days(10)


def dead_letter_queue(scope: Construct, construct_id: str, *, settings: Settings) -> sqs.Queue:
    """A queue of failed messages, with the longest retention of SQS."""
    return _queue(scope, construct_id, settings=settings, retention_period=cdk.Duration.days(DEAD_LETTER_DAYS))


def source_queue(
    scope: Construct,
    construct_id: str,
    *,
    dead_letters: sqs.IQueue,
    settings: Settings,
    queue_name: str | None = None,
) -> sqs.Queue:
    """A queue that a function consumes. Messages that were received too often move to `dead_letters`."""
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
