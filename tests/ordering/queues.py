"""The queues between Canvas and the functions: one for each event, received in random batches."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable

from tests.ordering.histories import Fact

MAX_BATCH = 10


class Queues:
    """The standard SQS queues of the six events: received in no order, in batches of one to ten.

    What a function reports for retry is sent again, and received later, in another batch.
    """

    def __init__(self, rng: random.Random, facts: Iterable[Fact] = ()) -> None:
        self._rng = rng
        self._waiting: defaultdict[str, list[Fact]] = defaultdict(list)
        self.send(facts)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def send(self, facts: Iterable[Fact]) -> None:
        """Put `facts` into the queues of their events."""
        for fact in facts:
            self._waiting[fact.event_name].append(fact)

    def receive(self) -> list[Fact]:
        """A batch of one queue."""
        waiting = self._rng.choice([queue for queue in self._waiting.values() if queue])
        return [_taken(waiting, self._rng) for _ in range(min(len(waiting), self._rng.randint(1, MAX_BATCH)))]

    def drain(self, deliver: Callable[[list[Fact]], list[str]]) -> None:
        """Deliver batch after batch until the queues are empty."""
        while self:
            batch = self.receive()
            self.send(fact for fact, fate in zip(batch, deliver(batch), strict=True) if fate == "Retried")


def _taken(waiting: list[Fact], rng: random.Random) -> Fact:
    """Any of `waiting`, removed."""
    place = rng.randrange(len(waiting))
    waiting[place], waiting[-1] = waiting[-1], waiting[place]
    return waiting.pop()
