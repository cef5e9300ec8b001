"""Queues as all of ours are: encrypted at rest, and open to TLS only where there is TLS."""

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.settings import Settings


def queue(scope: Construct, construct_id: str, *, settings: Settings, **shape: object) -> sqs.Queue:
    """An SQS queue that keeps a message as long as SQS can: two weeks to notice a failure."""
    return sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=not settings.runs_on_emulator,
        retention_period=cdk.Duration.days(14),
        **shape,  # type: ignore[arg-type]
    )
