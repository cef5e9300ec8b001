"""Runs the functions of the reconciliation in the order and with the payloads of the state machine."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.runtime import setting
from reconciliation.aws import aws_client
from reconciliation.failure import TemporaryFailure

STEPS = ("request", "poll", "compare", "compare_imports", "decide", "publish", "conclude")

_ATTEMPTS = 7
_POLLS = 4

Payload = dict[str, Any]


@dataclass
class Context(LambdaContext):
    """Test double of the Lambda context, with scripted remaining times."""

    milliseconds: int = 600_000
    function_name: str = "function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id: str = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]  # Powertools declares it static
        return self.milliseconds


@dataclass
class Machine:
    """Simulates the state machine of a run.

    Attributes:
        context: context of all invocations.
        doubled: whether every invocation is repeated, as after a lost answer.
        retries: number of temporary failures.
        history: payloads and results of all invocations, as JSON.
    """

    context: Context = field(default_factory=Context)
    doubled: bool = False
    retries: int = 0
    history: list[str] = field(default_factory=list)

    def run(self, name: str = "reconcile-1", **options: Any) -> Payload:
        """Execute a run and return its report."""
        return self.finish(self.compare(name, **options))

    def finish(self, state: Payload) -> Payload:
        """Execute a run from *decide* on and return its report."""
        name, state = state["run"], self._until_done("decide", state, inside="decide")
        if not state["dry_run"] and state["decide"]["files"]:
            for key in keys(f"runs/{name}/corrections/"):
                self._until_done("publish", {"run": name, "key": key, "line": 0})
        return self.invoke("conclude", state)

    def decide(self, name: str = "reconcile-1", **options: Any) -> Payload:
        """Execute a run up to *decide* and return its state."""
        return self._until_done("decide", self.compare(name, **options), inside="decide")

    def compare(self, name: str = "reconcile-1", **options: Any) -> Payload:
        """Execute a run up to *compare* and return its state."""
        state = self.request(name, **options)
        for _ in range(_POLLS):
            state = self.invoke("poll", state)
            if state["complete"]:
                break
        else:
            # Simulates the hours between two polls.
            state = self.invoke("poll", state | {"started_at": "2001-01-01T00:00:00.000Z"})
        self.invoke("compare_imports", state)
        for part in read_json(f"runs/{name}/parts.json"):
            self._until_done("compare", {"run": name, "full": state["full"], **part, "chunk": 0})
        return state

    def request(self, name: str = "reconcile-1", **options: Any) -> Payload:
        """Execute the first step of a run and return its state."""
        payload = {
            "run": name,
            "state_machine": setting("STATE_MACHINE_ARN"),
            "started_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "input": {"full": False, "dry_run": False, "expected": False, "force": None} | options,
        }
        return self.invoke("request", payload)

    def invoke(self, step: str, payload: Payload) -> Payload:
        """Invoke the function of `step`, and retry temporary failures."""
        handler = import_module(f"reconciliation.handlers.{step}").handler
        for attempt in range(_ATTEMPTS):
            self.history.append(json.dumps(payload))
            try:
                text = self.attempt(handler, payload, attempt)
            except TemporaryFailure:
                self.retries += 1
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                self.history.append(text)
                result: Payload = json.loads(text)
                return result
        raise AssertionError

    def attempt(self, handler: Any, payload: Payload, _number: int) -> str:
        """Invoke a function once and return its result as JSON."""
        if self.doubled:
            handler(json.loads(json.dumps(payload)), self.context)
        return json.dumps(handler(json.loads(json.dumps(payload)), self.context))

    def _until_done(self, step: str, payload: Payload, *, inside: str | None = None) -> Payload:
        while True:
            payload = self.invoke(step, payload)
            if (payload[inside] if inside else payload)["done"]:
                return payload


def keys(prefix: str) -> Iterator[str]:
    """Keys in the bucket of runs."""
    found = aws_client("s3").list_objects_v2(Bucket=setting("RUN_BUCKET"), Prefix=prefix)
    assert not found["IsTruncated"]
    return (each["Key"] for each in found.get("Contents", []))


def read_json(key: str) -> Any:
    """Read an object of the bucket of runs."""
    return json.loads(aws_client("s3").get_object(Bucket=setting("RUN_BUCKET"), Key=key)["Body"].read())
