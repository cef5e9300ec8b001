"""Handler that publishes one file of corrections, at a limited rate, and pauses while the queues are full."""

from itertools import islice
from typing import TypedDict

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.runtime import setting
from reconciliation.aws import aws_client
from reconciliation.correction import Correction
from reconciliation.publishing import RateLimit, publish
from reconciliation.run_files import RunFiles
from reconciliation.step import must_hand_on, step


class FileState(TypedDict):
    """The next line of a file of corrections."""

    run: str
    key: str
    line: int


class FileProgress(FileState):
    """The next line after an invocation, and whether to wait before it is published."""

    done: bool
    wait: bool


@step
def handler(payload: FileState, context: LambdaContext) -> FileProgress:
    """Publish the lines of a file from `line` on, until the invocation runs out of time."""
    run, key, line = payload["run"], payload["key"], payload["line"]
    if _queued() > int(setting("QUEUE_DEPTH_LIMIT")):
        return {"run": run, "key": key, "line": line, "done": False, "wait": True}
    files = RunFiles(run)
    corrections = map(Correction.from_json, islice(files.read_lines(files.name(key)), line, None))
    rate = RateLimit(float(setting("CORRECTIONS_PER_SECOND")))
    for number in publish(corrections, setting("EVENT_BUS"), rate):
        line += number
        if must_hand_on(context):
            return {"run": run, "key": key, "line": line, "done": False, "wait": False}
    return {"run": run, "key": key, "line": line, "done": True, "wait": False}


def _queued() -> int:
    """The approximate number of visible messages in the queues that corrections share with live events."""
    name = "ApproximateNumberOfMessages"
    return sum(
        int(aws_client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])
        for url in setting("QUEUE_URLS").split()
    )
