"""Delivers events from several processes, as concurrent Lambda environments do, each with a client of its own."""

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context

from functions.runtime import logger
from testbed.functions import Functions, load_handlers
from testbed.ordering.histories import Fact, spell
from testbed.ordering.queues import Queues

_functions: Functions


def deliver_at_once(
    facts: Iterable[Fact],
    endpoint: str,
    rng: random.Random,
    *,
    workers: int,
    window: int,
    advance: Callable[[int], None] = lambda _: None,
) -> Counter[str]:
    """Deliver `facts` to the DynamoDB at `endpoint` from several processes, and count the outcomes.

    About `window` of them are queued at a time, in random order. `advance` is called with the number of those done.
    """
    queues, upcoming = Queues(rng), iter(facts)
    totals: Counter[str] = Counter()
    batches: dict[Future[tuple[list[str], Counter[str]]], list[Fact]] = {}
    # This process has threads, so it is not forked. The preload imports the libraries once for all workers.
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(workers, context, _start, (endpoint,)) as pool:
        while True:
            queues.send(islice(upcoming, max(0, window - len(queues))))
            while queues and len(batches) < 2 * workers:
                batch = queues.receive()
                batches[pool.submit(_deliver, batch, rng.getrandbits(32))] = batch
            if not batches:
                return totals
            for future in wait(batches, return_when=FIRST_COMPLETED).done:
                batch, (outcomes, counted) = batches.pop(future), future.result()
                totals += counted
                again = [fact for fact, outcome in zip(batch, outcomes, strict=True) if outcome == "Retried"]
                queues.send(again)
                advance(len(batch) - len(again))


def _start(endpoint: str) -> None:
    global _functions  # noqa: PLW0603  # one per process
    logger.setLevel(logging.CRITICAL)
    _functions = Functions(handlers=load_handlers(endpoint))


def _deliver(facts: list[Fact], seed: int) -> tuple[list[str], Counter[str]]:
    """Deliver `facts` as one batch. Returns the outcome of each, and the counts of all outcomes."""
    rng = random.Random(seed)
    _functions.counted.clear()
    _functions.dead_letters.error = ConnectionError() if rng.random() < 0.1 else None
    outcomes = _functions.deliver_batch([spell(fact, rng) for fact in facts])
    counted = {name: _functions.counted[name] for name in ("Applied", "Duplicate", "Stale")}
    return outcomes, Counter(counted) + Counter(outcome for outcome in outcomes if outcome != "Done")
