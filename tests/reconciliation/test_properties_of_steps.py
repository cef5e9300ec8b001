"""Properties of the functions of a run with the real clients: counts, dry runs, and failing or repeated steps.

Each test plays a history, and then invokes the functions against the test double.
"""

import json
import os
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.runtime import setting
from reconciliation import canvas_rest
from reconciliation.aws import aws_client
from reconciliation.handlers import compare
from reconciliation.rows import FAMILY_OF
from testbed.canvas.server import running_canvas
from testbed.engines import Engine, dynamodb_local
from testbed.functions import load_handlers
from testbed.reconciliation.operations import Begins, Passes
from testbed.reconciliation.properties import in_batches
from testbed.reconciliation.run import MARGIN, WINDOW
from testbed.reconciliation.strategies import ANYTHING, IMPORTS, LATE_CORRECTIONS, UNREADABLE_ROWS, histories
from testbed.reconciliation.truth import TableTruth, verdict_on_import
from testbed.reconciliation.world import World
from tests.reconciliation.machine import Context, Machine, keys, read_json

# Deterministic examples, so that the tests can assert their variety. `make soak` draws random ones.
examples = settings(max_examples=4, derandomize=True, suppress_health_check=list(HealthCheck))
a_history = histories(ANYTHING, LATE_CORRECTIONS, IMPORTS, UNREADABLE_ROWS, enrolled=6)
a_while = st.sampled_from([timedelta(days=8), timedelta(hours=30), timedelta(hours=3)])
numbers = count(1)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """URL of DynamoDB Local, for the module."""
    with dynamodb_local(tmp_path_factory.mktemp("dynamodb-local") / "log") as endpoint:
        yield endpoint


@pytest.fixture(params=["moto", "dynamodb-local"])
def stage(request, monkeypatch):
    """Each engine in turn. All other AWS services are moto."""
    if request.param == "moto":
        cloud = request.getfixturevalue("cloud")
        yield Engine(endpoint="", tables=cloud.tables, handlers=cloud.handlers)
        return
    endpoint = request.getfixturevalue("endpoint")
    handlers = load_handlers(endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
    aws_client.cache_clear()  # the cached client has the endpoint of another test
    tables = request.getfixturevalue("cloud").tables
    yield Engine(endpoint=endpoint, tables=tables, handlers=handlers)
    for name in tables.client.list_tables()["TableNames"]:
        tables.client.delete_table(TableName=name)
    aws_client.cache_clear()


class WorldMachine(Machine):
    """State machine whose runs begin at the simulated time of a world."""

    def __init__(self, world):
        super().__init__()
        self.world = world

    def finish_from(self, state):
        """Execute a run from *poll* on and return its report."""
        state = self.invoke("poll", state)
        self.invoke("compare_imports", state)
        parts = read_json(f"runs/{state['run']}/parts.json")
        for part in self.shuffled(parts):
            self._until_done("compare", {"run": state["run"], "full": state["full"], **part, "chunk": 0})
        state = self._until_done("decide", state, inside="decide")
        for key in self.shuffled(keys(f"runs/{state['run']}/corrections/")):
            self._until_done("publish", {"run": state["run"], "key": key, "line": 0})
        return self.invoke("conclude", state)

    def shuffled(self, items):
        """Items of a Distributed Map in the order of their execution."""
        return list(items)

    def request(self, name="reconcile-1", **options):
        started_at = self.world.school.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        options = {"full": False, "dry_run": False, "expected": False, "force": None} | options
        payload = {"run": name, "state_machine": setting("STATE_MACHINE_ARN"), "started_at": started_at}
        return self.invoke("request", payload | {"input": options})


@contextmanager
def served(world):
    """Serve the school of `world`, in parts of two rows.

    Answers of REST take no time, so that a repeated query has the same `Date`.
    """
    no_time = SimpleNamespace(monotonic=lambda: 0.0)
    with running_canvas(world.school, lake=world.lake) as canvas, mock.patch.object(canvas_rest, "time", no_time):
        canvas.dap.polls, canvas.dap.rows_per_part = 0, 2
        with mock.patch.dict(os.environ, CANVAS_URL=canvas.url, CANVAS_DATA_URL=canvas.url):
            yield canvas


def played(history, stage, still):
    """Play `history` without its runs, and then a quiet period."""
    stage.clear()
    operations = tuple(each for each in history.operations if not isinstance(each, Begins))
    world = World(replace(history, operations=operations), stage).play([*operations, Passes(still)])
    world.load(Begins())
    return world


def expected_counts(world, contents, report):
    """Expected counts of a run, computed by the oracle from the rows of Canvas and the items as read."""
    enrollments, imports = contents
    now, number, started_at = datetime.now(UTC), report["number"], datetime.fromisoformat(report["started_at"])
    since = (started_at - WINDOW).replace(microsecond=0)
    counts = {}
    for table, family in FAMILY_OF.items():
        answer = world.answer(table, full=report["full"], since=since)
        users = {key: each.version.row for key, each in world.lake.tables["users"].rows.items() if each.version.row}
        truth = TableTruth(
            family=family,
            records=answer.records,
            items={key: item for (key,), item in enrollments.items()},
            users=users if report["full"] else None,
            at=answer.at,
            now=now,
            number=number,
            margin=MARGIN,
            shard=world.school.shard,
            digits=world.lake.fraction_digits,
        )
        counts[family] = Counter(truth.verdicts())
    items = {int(key): item for (_, key), item in imports.items()}
    counts["import"] = Counter(
        verdict_on_import(version.row, items.get(key), date=world.school.now, now=now, number=number)
        for key, version in world.imports(items, since=started_at - WINDOW).items()
    )
    return {family: dict(some) | {"rows": some.total()} for family, some in counts.items()}


def found_by(report):
    """Counts of a report, without zeros."""
    return {
        family: {verdict: number for verdict, number in counts.items() if number or verdict == "rows"}
        for family, counts in report["families"].items()
    }


@examples
@given(history=a_history, still=a_while, full=st.booleans())
def test_a_report_counts_the_difference_between_the_rows_and_the_items_as_read(stage, cloud, history, still, full):
    world = played(history, stage, still)
    with served(world):
        contents = stage.contents()
        report = WorldMachine(world).run(f"reconcile-{next(numbers)}", full=full, expected=True)

    counts = found_by(report)
    assert counts == expected_counts(world, contents, report)
    assert report["corrections"] == sum(
        some.get(verdict, 0) for some in counts.values() for verdict in ("missing", "drifted")
    )
    assert len(cloud.published()) == report["corrections"]


@examples
@given(history=a_history, still=a_while, full=st.booleans())
def test_a_dry_run_writes_no_item_and_publishes_no_event(stage, cloud, history, still, full):
    world, name = played(history, stage, still), f"dry-run-{next(numbers)}"
    with served(world):
        before = stage.contents()
        report = WorldMachine(world).run(name, full=full, dry_run=True)

    assert cloud.published() == []
    assert stage.contents() == before
    assert list(keys(f"runs/{name}/corrections/")) == []
    assert report["dry_run"]


class Stopped(Exception):
    """Raised to end an invocation."""


class UnluckyMachine(WorldMachine):
    """State machine that stops, repeats, shortens and delays invocations at random."""

    _SERVICES = ("s3", "dynamodb", "events", "sqs", "secretsmanager")

    def __init__(self, world, random, some_arrive):
        super().__init__(world)
        self.context = Context(milliseconds=random.choice([600_000, 1_000]))
        self.stopped = 0
        self._random = random
        self._some_arrive = some_arrive
        self._left = None
        self._compared = []

    def shuffled(self, items):
        items = list(items)
        self._random.shuffle(items)
        return items

    def invoke(self, step, payload):
        if step == "compare":
            self._compared.append(payload)
        if step in {"compare", "decide"} and self._compared and self._random.random() < 0.2:
            super().invoke("compare", self._random.choice(self._compared))  # an earlier one that is still running
        result = super().invoke(step, payload)
        if step == "publish":
            self._some_arrive()
        return result

    def attempt(self, handler, payload, number):
        self.doubled = self._random.random() < 0.3
        self._left = self._random.randint(1, 12) if number < 3 and self._random.random() < 0.5 else None
        try:
            return super().attempt(handler, payload, number)
        finally:
            self._left = None

    def _count(self, **_):
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                self.stopped += 1
                raise Stopped

    @contextmanager
    def stopping(self):
        """Stop invocations before or after an AWS request."""
        with ExitStack() as stack:
            for service in self._SERVICES:
                events = aws_client(service).meta.events
                for moment in ("provide-client-params.*.*", "after-call.*.*"):
                    events.register_first(moment, self._count)
                    stack.callback(events.unregister, moment, self._count)
            yield


def test_with_the_same_results_steps_that_are_stopped_repeated_or_doubled_leave_the_same_tables(stage, cloud):
    stopped, corrections = [], []

    @examples
    @given(
        history=a_history,
        still=a_while,
        full=st.booleans(),
        seed=st.integers(0, 2**32),
        rows_per_chunk=st.sampled_from([1, 2]),
    )
    def holds(history, still, full, seed, rows_per_chunk):
        world, random = played(history, stage, still), Random(seed)
        accepted = list(world.deliveries.archive)
        with served(world), mock.patch.object(compare, "ROWS_PER_CHUNK", rows_per_chunk):
            # GIVEN the jobs of a run, and the tables after an undisturbed run
            machine = WorldMachine(world)
            jobs = machine.request(f"lucky-{next(numbers)}", full=full, expected=True)
            report = machine.finish_from(jobs)
            published = cloud.published()
            deliver(stage, published)
            expected = stage.contents()

            # WHEN its steps are disturbed, on the same tables, and its events are shuffled and duplicated
            stage.clear()
            deliver(stage, accepted)
            on_the_way = []

            def some_arrive(share=0.5):
                on_the_way.extend(cloud.published())
                random.shuffle(on_the_way)
                deliver(stage, [event for event in on_the_way if random.random() < share])

            unlucky = UnluckyMachine(world, random, some_arrive)
            with unlucky.stopping():
                again = unlucky.finish_from(jobs | {"run": f"unlucky-{next(numbers)}"})
            some_arrive(share=1)

        # THEN tables and report are the same, and no other event was published
        assert stage.contents() == expected
        assert again["families"] == report["families"]
        assert set(map(json.dumps, on_the_way)) == set(map(json.dumps, published))
        stopped.append(unlucky.stopped)
        corrections.append(report["corrections"])

    holds()
    assert sum(stopped) > len(stopped)
    assert sum(corrections) > 0


def deliver(stage, events):
    for batch in in_batches(events):
        assert set(stage.deliver_batch(batch)) == {"Done"}
