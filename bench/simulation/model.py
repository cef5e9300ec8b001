"""The event path as a discrete-event model: publisher, ingestion queue, relay, bus, queues, functions, table.

A batch of ten messages is one step; a consumer without messages looks again after the batching window. Left out: cold
starts, the back-off of Lambda's pollers (AWS gives no figures), DynamoDB's burst capacity and splitting of partitions.
"""

import random
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Literal, Self

import simpy
from simpy.events import Event

from bench.simulation.limits import Limits
from bench.simulation.prices import dollars
from infra.settings import Settings

BATCH, HOUR = 10, 3600
_CALM_SECONDS, _SAMPLE_SECONDS, _IDLE_SECONDS = 10, 30, 0.02

Steps = Generator[Event, Any, None]
Group = tuple[int, float, int]
"""Messages that were published and received together: how many, when published, how often received."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One bad day. After a bad hour, publishing goes on at the same rate until the tables have caught up."""

    name: str
    events: int
    rate: int = 0  # per second; 0: all at once
    origin: Literal["Canvas", "corrections", "archive"] = "Canvas"
    one_course: bool = False  # all in one partition of the index by course
    functions: int = 2  # enrollments and their states change together; imports are few
    bad_hour: dict[Literal["bus", "table"], int] = field(default_factory=dict)  # requests per second; 0: no answer
    limits: Limits = field(default_factory=Limits)


class _RateLimit:
    """Requests per second; what is not used within a second is lost."""

    def __init__(self, rate: int, first_hour: int) -> None:
        self._rate, self._first_hour, self._left, self._at = rate, first_hour, float(rate), 0.0

    def accept(self, requests: int, now: float) -> int | None:
        """How many of the requests are accepted, the others being throttled. `None`: there is no answer."""
        rate = self._first_hour if now < HOUR else self._rate
        self._left, self._at = min(rate, self._left + (now - self._at) * rate), now
        accepted = min(requests, int(self._left))
        self._left -= accepted
        return accepted if rate else None


class _Queue:
    """An SQS standard queue with its dead-letter queue; `done` is called with the messages that were processed."""

    def __init__(self, pipeline: "Pipeline", done: Callable[[int, float], None]) -> None:
        self._pipeline, self._done, self._visible, self._in_flight = pipeline, done, deque[Group](), 0

    def put(self, number: int, published: float, receives: int = 0) -> None:
        """Make messages visible; those that failed come first, the worst order for how often one is received."""
        self._in_flight -= number if receives else 0
        (self._visible.appendleft if receives else self._visible.append)((number, published, receives))

    def receive(self) -> list[Group]:
        """Up to ten visible messages. One that was received too often becomes a dead letter instead."""
        batch, room, pipeline = list[Group](), BATCH, self._pipeline
        while room and self._visible and self._in_flight + room <= pipeline.case.limits.in_flight:
            number, published, receives = self._visible.popleft()
            if receives == pipeline.settings.max_receive_count:
                pipeline.dead_letters += number
                continue
            if number > room:
                self._visible.appendleft((number - room, published, receives))
            batch.append((min(room, number), published, receives + 1))
            pipeline.most_receives = max(pipeline.most_receives, receives + 1)
            room -= batch[-1][0]
        self._in_flight += BATCH - room
        return batch

    def settle(self, batch: list[Group], succeeded: int, received: float) -> None:
        """Delete so many messages of `batch`; the rest is visible again after its visibility timeout."""
        self._in_flight -= succeeded
        for number, published, receives in batch:
            deleted = min(number, succeeded)
            succeeded -= deleted
            if deleted:
                self._done(deleted, published)
            if number > deleted:
                again = received + self._pipeline.settings.visibility_seconds
                self._pipeline.at(again, self.put, number - deleted, published, receives)


class Pipeline:
    """A stage with `settings` that `case` happens to, and what became of it. Times in seconds."""

    def __init__(self, case: Case, settings: Settings) -> None:
        self.case, self.settings, self.env = case, settings, simpy.Environment()
        self.published = self.applied = self.dead_letters = self.most_receives = self._batches = 0
        self.oldest_seconds = self.right_seconds = self._seconds = self._bus_free = 0.0
        self.backlog: dict[float, int] = {}
        units = case.limits.partition_units if case.one_course else case.limits.table_units
        self._bus = _RateLimit(case.limits.put_events, case.bad_hour.get("bus", case.limits.put_events))
        self._table = _RateLimit(units, case.bad_hour.get("table", units))
        self._ingestion = _Queue(self, self._deliver)
        self._queues = [_Queue(self, self._apply) for _ in range(case.functions)]
        self._next_queue = cycle(self._queues)
        self._random = random.Random(1)  # noqa: S311  # the same days in every run
        self._environments = simpy.Resource(self.env, case.limits.environments)

    @property
    def _outstanding(self) -> int:
        return self.published - self.applied - self.dead_letters

    def run(self) -> Self:
        """Let the day pass, until no event is outstanding."""
        for _ in range(self.settings.relay_concurrency):
            self.env.process(self._consume(self._ingestion, self._bus, self.case.limits.relay_seconds, BATCH))
        for queue in self._queues * self.settings.function_concurrency:
            self.env.process(self._consume(queue, self._table, self.case.limits.function_seconds, 1))
        publishing = self.env.process(self._publish())
        while publishing.is_alive or self._outstanding:
            self.env.run(self.env.now + _SAMPLE_SECONDS)
            self.backlog[self.env.now] = self._outstanding
        return self

    @property
    def dollars(self) -> float:
        """What all events cost."""
        canvas, archived = self.case.origin == "Canvas", self.case.origin != "archive"
        return dollars(
            events=self.published,
            sent=self.published * (1 + canvas),
            archived=self.published * archived,
            batches=self._batches,
            gb_seconds=self._seconds * self.settings.memory_mib / 1024,
        )

    def at(self, seconds: float, action: Callable[..., None], *values: Any) -> None:
        """Call `action` at that time, or as soon as possible after it."""
        self.env.timeout(max(0, seconds - self.env.now)).callbacks.append(lambda _: action(*values))

    def _publish(self) -> Steps:
        case, put = self.case, self._ingestion.put if self.case.origin == "Canvas" else self._deliver
        while self.published < case.events or (case.bad_hour and self._outstanding > _CALM_SECONDS * case.rate > 0):
            self.published += BATCH
            put(BATCH, self.env.now)
            if case.rate:
                yield self.env.timeout(BATCH / case.rate)

    def _deliver(self, number: int, published: float) -> None:
        """Hand events to the queue of their function, late where the region's invocations are used up."""
        put, begins = next(self._next_queue).put, max(self.env.now, self._bus_free)
        self._bus_free = begins + number / self.case.limits.invocations
        self.at(begins, put, number, published) if begins > self.env.now else put(number, published)

    def _apply(self, number: int, published: float) -> None:
        self.applied, self.right_seconds = self.applied + number, self.env.now
        self.oldest_seconds = max(self.oldest_seconds, self.env.now - published)

    def _consume(self, queue: _Queue, limit: _RateLimit, seconds: float, per_request: int) -> Steps:
        """One environment: batch after batch, whose requests are retried as the SDK's standard mode does.

        A retry takes tokens from the client's quota, which its success returns; without tokens there is no retry.
        """
        env, limits, tokens = self.env, self.case.limits, self.case.limits.retry_quota
        while True:
            while not (batch := queue.receive()):
                yield env.timeout(self.settings.batching_window_seconds or _IDLE_SECONDS)
            received, messages, succeeded, returned = env.now, sum(group[0] for group in batch), 0, 1
            requests = -(-messages // per_request)
            with self._environments.request() as environment:
                yield environment
                began = env.now
                for attempt in range(limits.attempts):
                    if (accepted := limit.accept(requests, env.now)) is None:
                        yield env.timeout(limits.timeout_seconds)
                    succeeded, requests = succeeded + (accepted or 0), requests - (accepted or 0)
                    tokens = min(limits.retry_quota, tokens + (accepted or 0) * returned)
                    returned = limits.timeout_cost if accepted is None else limits.retry_cost
                    requests = min(requests, tokens // returned) if attempt + 1 < limits.attempts else 0
                    if not requests:
                        break
                    tokens -= requests * returned
                    # The longest of so many pauses, each evenly distributed.
                    yield env.timeout(limits.backoff_seconds * 2**attempt * self._random.random() ** (1 / requests))
                yield env.timeout(seconds if succeeded else limits.refused_seconds)
            self._batches, self._seconds = self._batches + 1, self._seconds + env.now - began
            self._random.shuffle(batch)
            queue.settle(batch, min(messages, succeeded * per_request), received)
