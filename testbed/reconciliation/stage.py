"""Runs histories of the reconciliation on moto or DynamoDB Local."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings

from testbed.engines import Engine, dynamodb_local, dynamodb_local_engine
from testbed.reconciliation.properties import Property
from testbed.reconciliation.world import World


@contextmanager
def local_stage(data_template: Mapping[str, Any], log: Path) -> Iterator[Engine]:
    """Run a stage on DynamoDB Local."""
    with dynamodb_local(log) as endpoint, dynamodb_local_engine(data_template, endpoint) as engine:
        yield engine


def prove(proposition: Property[Any], stage: Engine, *, examples: int, **options: Any) -> list[World]:
    """Check `proposition` on a number of random examples, and return their worlds."""
    worlds: list[World] = []

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), **options)
    @given(proposition.drawn)
    def holds(drawn: Any) -> None:
        stage.clear()
        worlds.append(proposition.holds(drawn, stage))

    holds()
    return worlds
