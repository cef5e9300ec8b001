"""Handler that looks up the unfinished imports of the table in Canvas, hourly, and corrects those that have changed.

Canvas sends no event for `aborted` and `cleanup_batch`.
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
from reconciliation.judgement import Judgement
from reconciliation.publishing import RateLimit, publish
from reconciliation.sis_batches import judge_imports, unfinished_imports
from reconciliation.step import must_hand_on, now, step

_PER_SECOND = 10.0


@step
def handler(_event: dict[str, Any], context: LambdaContext) -> None:
    """Publish a correction of each import that is newer in Canvas, until the invocation runs out of time."""
    verdicts: Counter[str] = Counter()
    # In place of the number of a run: it differs each second.
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
