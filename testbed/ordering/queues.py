"""In-memory model of the SQS queues between Canvas and the functions."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable

from testbed.ordering.histories import Fact

MAX_BATCH = 10


class Queues:
    """Standard SQS queues of the six event types, received in random order in batches of 1 to 10.

    A message that a function reports for retry is received again, in a later batch.
    """

    def __init__(self, rng: random.Random, facts: Iterable[Fact] = ()) -> None:
        self._rng = rng
        self._waiting: defaultdict[str, list[Fact]] = defaultdict(list)
        self.send(facts)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def send(self, facts: Iterable[Fact]) -> None:
        """Enqueue `facts`, each in the queue of its event type."""
        for fact in facts:
            self._waiting[fact.event_name].append(fact)

    def receive(self) -> list[Fact]:
        """Take a random batch from one queue."""
        waiting = self._rng.choice([queue for queue in self._waiting.values() if queue])
        return [_taken(waiting, self._rng) for _ in range(min(len(waiting), self._rng.randint(1, MAX_BATCH)))]

    def drain(self, deliver: Callable[[list[Fact]], list[str]]) -> None:
        """Deliver batches until the queues are empty."""
        while self:
            batch = self.receive()
            self.send(fact for fact, outcome in zip(batch, deliver(batch), strict=True) if outcome == "Retried")


def _taken(waiting: list[Fact], rng: random.Random) -> Fact:
    """Remove and return a random element of `waiting`."""
    place = rng.randrange(len(waiting))
    waiting[place], waiting[-1] = waiting[-1], waiting[place]
    return waiting.pop()
