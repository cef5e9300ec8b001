"""The DynamoDB that every program writes to: Amazon's DynamoDB Local, and a meter before it."""

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import synthesise
from tests.ordering.engines import dynamodb_local
from tests.tables import Tables


@contextlib.contextmanager
def tables(folder: Path) -> Iterator[str]:
    """Our tables, as prod has them, and one for Powertools' idempotency; the endpoint."""
    with dynamodb_local(folder / "dynamodb-local.log") as endpoint:
        Tables(synthesise("prod").state, endpoint_url=endpoint).client.create_table(
            TableName="idempotency",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield endpoint


class Meter(ThreadingHTTPServer):
    """Passes requests on to `upstream`, and counts them and what DynamoDB says that they consumed.

    A refused conditional write consumes as much as one that is applied, but no answer says so.

    Attributes:
        requests: how many.
        refused: how many of them failed their condition.
        table_units: capacity units consumed on tables, read and write together.
        index_units: capacity units consumed on indexes.
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Metered)
        self.upstream = urlsplit(upstream).netloc
        self.reset()

    @property
    def endpoint(self) -> str:
        """Where the programs find it."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def reset(self) -> None:
        """Begin to count anew."""
        self.requests = self.refused = 0
        self.table_units = self.index_units = 0.0

    def count(self, answer: dict[str, Any]) -> None:
        """Add one answered request."""
        self.requests += 1
        self.refused += answer.get("__type", "").endswith("ConditionalCheckFailedException")
        consumed = answer.get("ConsumedCapacity", {})
        self.table_units += consumed.get("Table", {}).get("CapacityUnits", 0.0)
        self.index_units += sum(i["CapacityUnits"] for i in consumed.get("GlobalSecondaryIndexes", {}).values())


class _Metered(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Meter

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        # DynamoDB Local looks at no signature, so the body may be changed on the way.
        body = json.dumps(request | {"ReturnConsumedCapacity": "INDEXES"})
        kept = ("Authorization", "Content-Type", "X-Amz-Date", "X-Amz-Target")
        connection = http.client.HTTPConnection(self.server.upstream)
        connection.request("POST", "/", body, {name: self.headers[name] for name in kept})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        self.server.count(json.loads(said))
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def meter(upstream: str) -> Iterator[Meter]:
    """A running meter before `upstream`."""
    with Meter(upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
