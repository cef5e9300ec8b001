"""Several processes at once, as Lambda has several environments: each has its own handlers, client and event loop."""

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context

from functions.runtime import logger
from tests.ordering.engines import Functions, load_handlers
from tests.ordering.histories import Fact, spell
from tests.ordering.queues import Queues

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
    """Deliver `facts` by several processes to the DynamoDB at `endpoint`; how many were applied, rejected, retried, …

    About `window` of them wait in the queues, in which one overtakes another. `advance` is given how many are done.
    """
    queues, upcoming = Queues(rng), iter(facts)
    totals: Counter[str] = Counter()
    batches: dict[Future[tuple[list[str], Counter[str]]], list[Fact]] = {}
    # Not forked from this process, which has threads; and what a worker imports is imported once for all.
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
                batch, (fates, counted) = batches.pop(future), future.result()
                totals += counted
                again = [fact for fact, fate in zip(batch, fates, strict=True) if fate == "Retried"]
                queues.send(again)
                advance(len(batch) - len(again))


def _start(endpoint: str) -> None:
    global _functions  # noqa: PLW0603  # one for each process
    logger.setLevel(logging.CRITICAL)
    _functions = Functions(handlers=load_handlers(endpoint))


def _deliver(facts: list[Fact], seed: int) -> tuple[list[str], Counter[str]]:
    """Deliver `facts` as one batch: what became of each, the outcomes that were counted, and what was dead-lettered."""
    rng = random.Random(seed)
    _functions.counted.clear()
    _functions.dead_letters.error = ConnectionError() if rng.random() < 0.1 else None
    fates = _functions.deliver_batch([spell(fact, rng) for fact in facts])
    counted = {name: _functions.counted[name] for name in ("Applied", "Duplicate", "Stale")}
    return fates, Counter(counted) + Counter(fate for fate in fates if fate != "Done")
