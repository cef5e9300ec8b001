"""Compares the model with the emulator: one burst for one function, in one batch at a time and in two."""

import os
import subprocess
import sys
import time
from json import dumps
from tempfile import TemporaryDirectory
from typing import Any

from bench.simulation.limits import Limits
from bench.simulation.model import BATCH, Case, Pipeline
from infra.settings import stage_settings
from testbed.events import event_batch, example

_EVENT = "enrollment_created"
_BATCHES = 60
_LEFT = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]


def compare() -> tuple[str, float]:
    """What was measured and computed, and how much more a second batch at a time speeds up the model."""
    with TemporaryDirectory() as folder:
        os.environ["OPS_LOCAL"] = folder  # read when ops.local is imported
        from ops.local.deployment import running_stage  # noqa: PLC0415

        try:
            subprocess.run([sys.executable, "-m", "ops", "up", "--enrollments", "1"], check=True)
            batch, one, two = _measure(running_stage().client)
        finally:
            subprocess.run([sys.executable, "-m", "ops", "down"], check=True)
    limits = Limits(function_seconds=batch)
    case = Case(name="burst", events=_BATCHES * BATCH, functions=1, origin="corrections", limits=limits)
    stages = [stage_settings("local").model_copy(update={"function_concurrency": each}) for each in (1, 2)]
    modelled = [Pipeline(case, stage).run().right_seconds for stage in stages]
    ratio = modelled[0] / modelled[1] * two / one
    emulator = f"A batch takes {1000 * batch:.0f} ms on the emulator, {_BATCHES} of them {one:.1f} s one at a time and"
    model = f"{two:.1f} s two at a time; in the model {modelled[0]:.1f} and {modelled[1]:.1f} s."
    return f"{emulator}\n{model} The second at a time speeds the model up {ratio:.2f} times as much.", ratio


def _measure(client: Any) -> tuple[float, float, float]:
    """Seconds of a batch that is invoked directly, of a burst in one batch at a time, and of one in two."""
    aws_lambda, sqs, handler = client("lambda"), client("sqs"), f"functions.handlers.{_EVENT}.handler"
    names = {each["Handler"]: each["FunctionName"] for each in aws_lambda.list_functions()["Functions"]}
    (mapping,) = aws_lambda.list_event_source_mappings(FunctionName=names[handler])["EventSourceMappings"]
    queue = sqs.get_queue_url(QueueName=mapping["EventSourceArn"].rsplit(":", 1)[1])["QueueUrl"]
    batch = event_batch(*[example(_EVENT)] * BATCH, event_name=_EVENT)  # a write for each, whatever the outcome
    entries = [{"Id": each["messageId"], "MessageBody": each["body"]} for each in batch["Records"]]

    def burst(concurrency: int) -> float:
        aws_lambda.put_function_concurrency(FunctionName=names[handler], ReservedConcurrentExecutions=concurrency)
        for consumed, batches in ((False, _BATCHES - 1), (True, 1)):  # the last wakes the emulator's poller
            aws_lambda.update_event_source_mapping(UUID=mapping["UUID"], Enabled=consumed)
            began = time.perf_counter()
            for _ in range(batches):
                sqs.send_message_batch(QueueUrl=queue, Entries=entries)
        while any(map(int, sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=_LEFT)["Attributes"].values())):
            time.sleep(0.05)
        return time.perf_counter() - began

    burst(2)  # starts the function's processes
    began = time.perf_counter()
    for _ in range(_BATCHES):
        aws_lambda.invoke(FunctionName=names[handler], Payload=dumps(batch))
    return (time.perf_counter() - began) / _BATCHES, burst(1), burst(2)
