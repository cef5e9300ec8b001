"""Handler that asks Canvas, hourly, about each import that is unfinished in our table, and corrects those that ended.

Canvas announces neither `aborted` nor `cleanup_batch`.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.runtime import logger, setting
from reconciliation.canvas_rest import ImportOnPage, canvas_rest
from reconciliation.correction import Correction
from reconciliation.family_metrics import record_family
from reconciliation.publishing import RateLimit, publish
from reconciliation.sis_batches import judge_imports, unfinished_imports
from reconciliation.step import must_hand_on, now, step
from reconciliation.verdict import Judgement

_PER_SECOND = 10.0


@step
def handler(_event: dict[str, Any], context: LambdaContext) -> None:
    """Publish a correction of each import of which Canvas says something newer. What has no time is asked next hour."""
    verdicts: Counter[str] = Counter()
    # Not the number of a run, and another each second.
    judgements = judge_imports(_found(context), number=int(time.time()), now=now())
    corrected = sum(publish(_corrections(judgements, verdicts), setting("EVENT_BUS"), RateLimit(_PER_SECOND)))
    record_family("import", {"Corrected": corrected})
    if corrected:
        logger.info("Unfinished imports are corrected", verdicts=verdicts)


def _found(context: LambdaContext) -> Iterator[ImportOnPage | None]:
    canvas = canvas_rest()
    for sis_batch_id in unfinished_imports():
        if must_hand_on(context):
            return
        yield canvas.sis_import(sis_batch_id)


def _corrections(judgements: Iterable[Judgement], verdicts: Counter[str]) -> Iterator[Correction]:
    for judgement in judgements:
        verdicts[judgement.verdict.value] += 1
        if judgement.correction is not None:
            yield judgement.correction
