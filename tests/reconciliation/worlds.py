"""Two DynamoDBs in which histories of the reconciliation are played, and a clock that the history sets."""

import inspect
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from unittest import mock

from hypothesis import HealthCheck, given, settings

from testbed.reconciliation.properties import Property
from testbed.reconciliation.world import World
from tests.ordering.engines import Engine, dynamodb_local, dynamodb_local_engine, moto_engine

_KEYS = {"enrollments": ("enrollment_id",), "sis_batches": ("account_id", "sis_batch_id")}
_KEYS_PER_REQUEST = 25


@dataclass
class Stage:
    """The tables of an engine and the real functions that write them, as a world sees them."""

    engine: Engine

    def deliver_batch(self, messages):
        return self.engine.deliver_batch(messages)

    def contents(self):
        return self.engine.contents()

    def clear(self):
        self.engine.counted.clear()
        self.engine.dead_letters.entries.clear()
        client = self.engine.tables.client
        for table, key in _KEYS.items():
            items = client.scan(TableName=table)["Items"]
            deletions = [{"DeleteRequest": {"Key": {name: item[name] for name in key}}} for item in items]
            for first in range(0, len(deletions), _KEYS_PER_REQUEST):
                some = deletions[first : first + _KEYS_PER_REQUEST]
                assert not client.batch_write_item(RequestItems={table: some})["UnprocessedItems"]

    @contextmanager
    def at_the_time_of(self, now):
        class Clock(datetime):
            @classmethod
            def now(cls, tz=None):
                return now().astimezone(tz)

        # One module `functions.batch` serves the six handlers of an engine.
        functions = inspect.unwrap(next(iter(self.engine.handlers.values()))).__globals__
        with mock.patch.dict(functions, datetime=Clock):
            yield


@contextmanager
def local_stage(data_template, log):
    """Amazon's DynamoDB Local, in a process of its own."""
    with dynamodb_local(log) as endpoint, dynamodb_local_engine(data_template, endpoint) as engine:
        yield Stage(engine)


@contextmanager
def moto_stage(data_template):
    """Moto, in this process."""
    with moto_engine(data_template) as engine:
        yield Stage(engine)


def prove(proposition: Property, stage: Stage, *, examples: int, **options) -> list[World]:
    """Let `proposition` hold of so many examples; the worlds in which it did."""
    worlds = []

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), **options)
    @given(proposition.drawn)
    def holds(drawn):
        stage.clear()
        worlds.append(proposition.holds(drawn, stage))

    holds()
    return worlds
