"""What a million events cost, by part, and what other designs would: measured work times public prices."""

from dataclasses import dataclass

from bench.results import Results
from infra.settings import stage_settings

# US dollars, us-east-1. Each with where it was read and when; the rest of `docs/performance/cost.md` follows from them.
PRICES = {
    "SQS request": (0.40e-6, "cloudburn.io/blog/amazon-sqs-pricing, March 2026"),
    "Lambda request": (0.20e-6, "cloudchipr.com/blog/aws-lambda-pricing, 2024"),
    "Lambda GB-second, ARM": (0.0000133334, "cloudchipr.com/blog/aws-lambda-pricing, 2024"),
    "custom event": (1.00e-6, "cloudburn.io/blog/amazon-eventbridge-pricing, March 2026"),
    "Pipes request": (0.40e-6, "cloudburn.io/blog/amazon-eventbridge-pricing, March 2026"),
    "archived GB, in": (0.10, "cloudburn.io/blog/amazon-eventbridge-pricing, March 2026"),
    "archived GB, a month": (0.023, "cloudburn.io/blog/amazon-eventbridge-pricing, March 2026"),
    "DynamoDB write unit": (0.625e-6, "airbyte.com/data-engineering-resources/dynamodb-pricing, July 2025"),
    "log GB": (0.50, "hykell.com/knowledge-base/aws-cloudwatch-logs-pricing, read November 2026"),
    "Fargate vCPU-hour, ARM": (0.03238, "vantage.sh/blog/fargate-pricing, read November 2026"),
    "Fargate GB-hour, ARM": (0.00356, "vantage.sh/blog/fargate-pricing, read November 2026"),
    "Kinesis shard-hour": (0.015, "list price, not looked up again: see aws.amazon.com/kinesis/data-streams/pricing"),
    "Kinesis PUT unit": (0.014e-6, "list price, not looked up again: see aws.amazon.com/kinesis/data-streams/pricing"),
}

MEMORY_SIZES = (128, 256, 512, 1024, 1769)

_MILLION = 1_000_000
_FULL_VCPU_MIB = 1769
"""Where a function has one whole vCPU. Source: Lambda developer guide, "Configure Lambda function memory"."""
_DYNAMODB_SECONDS = 0.005
"""What one write is assumed to take, network and all: AWS promises single-digit milliseconds."""
_COLD_STARTS = 1 / 1000
"""Invocations that are assumed to begin a new execution environment."""
_BATCH = 10
_EVENT_GB = 2_000 / 1e9
_LOG_GB = 600 / 1e9
"""One line of metrics, about 300 bytes, and about as much that Lambda itself writes of each invocation."""
_MONTHLY_EVENTS = 10 * _MILLION
"""For what is paid by the hour."""
_HOURS = 730


@dataclass(frozen=True)
class Line:
    """One part of a bill, in dollars per million events."""

    part: str
    how_much: str
    dollars: float


def invocation_seconds(cpu_seconds: float, memory_mib: int) -> float:
    """How long Lambda bills for work of `cpu_seconds`: at the share of a vCPU that the memory buys, and one write."""
    return cpu_seconds / min(1.0, memory_mib / _FULL_VCPU_MIB) + _DYNAMODB_SECONDS


def function_dollars(results: Results, memory_mib: int) -> float:
    """Duration of a million in-order events at `memory_mib`, with their share of cold starts.

    A start has a full vCPU, whatever the memory. Source: Serverless Land, "Effectively running Java on Serverless".
    """
    warm = invocation_seconds(results.warm_cpu_seconds["ours"]["in order"], memory_mib)
    cold = invocation_seconds(results.cold_cpu_seconds["ours"], _FULL_VCPU_MIB)
    return _MILLION * (warm + _COLD_STARTS * cold) * memory_mib / 1024 * _price("Lambda GB-second, ARM")


def bill(results: Results) -> list[Line]:
    """Our own, at the memory that `infra` sets, for events of which each changes the item."""
    memory = stage_settings("prod").memory_mib
    relayed = _MILLION * results.put_events_calls
    units = results.table_units["ours"]["in order"] * _MILLION
    index_units = results.projected_change_units[1] * _MILLION
    return [
        Line(
            "front-door queue",
            f"{2 * relayed / _MILLION:.1f} million requests (receive and delete, in full batches)",
            2 * relayed * _price("SQS request"),
        ),
        Line("relay", f"{relayed / _MILLION:.1f} million invocations, 20 ms each", _relay_dollars(relayed, memory)),
        Line("bus", "1 million custom events", _MILLION * _price("custom event")),
        Line("archive", "2 GB in, kept for a month", _archive_dollars()),
        Line("functions, invocations", "1 million", _MILLION * _price("Lambda request")),
        Line("functions, duration", f"measured, at {memory} MiB", function_dollars(results, memory)),
        Line("writes, table", f"{units / _MILLION:.0f} million units", units * _price("DynamoDB write unit")),
        Line(
            "writes, both indexes",
            f"0 to {index_units / _MILLION:.0f} million units; here a tenth of the events changes the roster",
            0.1 * index_units * _price("DynamoDB write unit"),
        ),
        Line("logs", "0.6 GB", _MILLION * _LOG_GB * _price("log GB")),
    ]


def alternatives(results: Results) -> list[Line]:
    """What other designs would cost that do the same work for each event and keep the same tables."""
    memory = stage_settings("prod").memory_mib
    parts = {line.part: line.dollars for line in bill(results)}
    writes = parts["writes, table"] + parts["writes, both indexes"]
    batched = _MILLION / _BATCH * _price("Lambda request") + function_dollars(results, memory) + parts["logs"] / 2
    queue = parts["front-door queue"]
    months = _MONTHLY_EVENTS / _MILLION
    tasks = 2 * (0.25 * _price("Fargate vCPU-hour, ARM") + 0.5 * _price("Fargate GB-hour, ARM")) * _HOURS / months
    shard = _price("Kinesis shard-hour") * _HOURS / months + _MILLION * _price("Kinesis PUT unit")
    return [
        Line("this project", "relay, bus, archive, a function per event", sum(parts.values())),
        Line(
            "queue to one function, in batches",
            "no archive and no rules; one function for all events, which must tell a bad one from its batch",
            queue + batched + writes,
        ),
        Line(
            "queue to Pipes to one function",
            "as above, with filters; batches of ten events are one request",
            queue + _MILLION / _BATCH * _price("Pipes request") + batched + writes,
        ),
        Line(
            "Kinesis, one shard",
            "somebody must put Canvas' events into it; order within a shard, which Canvas' events do not have anyway",
            queue + _relay_dollars(_MILLION / _BATCH, memory) + shard + batched + writes,
        ),
        Line(
            "poller on Fargate, two tasks",
            "code of one's own for polling, scaling, retries and dead letters",
            queue + tasks + writes + parts["logs"] / 2,
        ),
    ]


def _relay_dollars(invocations: float, memory_mib: int) -> float:
    gb_seconds = 0.020 * memory_mib / 1024
    return invocations * (_price("Lambda request") + gb_seconds * _price("Lambda GB-second, ARM"))


def _archive_dollars() -> float:
    return _MILLION * _EVENT_GB * (_price("archived GB, in") + _price("archived GB, a month"))


def _price(name: str) -> float:
    return PRICES[name][0]
