"""Published limits and measured times that the simulation computes with, each with its source."""

from dataclasses import dataclass, field
from typing import Any


def _of(value: float, source: str) -> Any:
    return field(default=value, metadata={"source": source})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What AWS, the SDK and one batch can do; a case replaces some of it. Rates are per second."""

    put_events: int = _of(10_000, 'EventBridge user guide, "Amazon EventBridge quotas", us-east-1')
    invocations: int = _of(18_750, 'EventBridge user guide, "Amazon EventBridge quotas", us-east-1')
    environments: int = _of(1_000, 'Lambda developer guide, "Lambda quotas", concurrent executions')
    in_flight: int = _of(120_000, 'SQS developer guide, "Amazon SQS standard queue quotas"')
    table_units: int = _of(4_000, 'AWS Knowledge Center, "Why is my on-demand DynamoDB table being throttled?"')
    partition_units: int = _of(1_000, 'AWS Knowledge Center, "Why is my on-demand DynamoDB table being throttled?"')
    attempts: int = _of(3, "functions/runtime.py, ATTEMPTS")
    timeout_seconds: float = _of(1, "functions/runtime.py, READ_SECONDS")
    backoff_seconds: float = _of(1, 'AWS SDKs and Tools reference guide, "Retry behavior", standard mode')
    retry_quota: int = _of(500, "aws-smithy-runtime, token_bucket.rs; botocore, retries/quota.py")
    retry_cost: int = _of(5, "aws-smithy-runtime, token_bucket.rs; botocore, retries/standard.py")
    timeout_cost: int = _of(10, "aws-smithy-runtime, token_bucket.rs; botocore, retries/standard.py")
    relay_seconds: float = _of(0.050, "docs/performance/scale.md, a batch of the relay")
    function_seconds: float = _of(0.055, "docs/performance/scale.md, a batch of a function, its ten writes included")
    refused_seconds: float = _of(0.015, "measured with DynamoDB Local, a batch whose every request is refused")
