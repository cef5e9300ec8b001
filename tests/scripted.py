"""A server in place of an AWS service: it answers as a test says, and decides nothing."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, str] | None

OK: Answer = (200, "{}")
NO_ANSWER: Answer = None
"""The request is read, and the connection stays open until the server stops."""
STALLED: Answer = (-1, "{}")
"""The answer begins, and its last byte never comes."""


class ScriptedServer(ThreadingHTTPServer):
    """Answers each request with the next of `answers`, and with the last one from then on.

    Attributes:
        requests: the decoded bodies of all requests.
        connections: how many clients have connected.
    """

    daemon_threads = True
    request_queue_size = 20

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.answers: list[Answer] = [OK]
        self.requests: list[dict[str, Any]] = []
        self.connections = 0
        self.stopped = threading.Event()
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, and count."""
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that hang up."""


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def do_POST(self) -> None:
        server = self.server
        server.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        if answer is None:
            server.stopped.wait()
            self.close_connection = True
            return
        status, text = answer
        stalls = answer == STALLED
        self.send_response(200 if stalls else status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode()[: -1 if stalls else None])
        if stalls:
            self.wfile.flush()
            server.stopped.wait()
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing on standard error."""


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """A running server."""
    with ScriptedServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.stopped.set()
            server.shutdown()


def error(code: str, status: int = 400, **more: Any) -> Answer:
    """DynamoDB's answer that says `code`."""
    return status, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "why", **more})


def refused(**item: str) -> Answer:
    """DynamoDB's answer where the condition does not hold of `item`."""
    return error("ConditionalCheckFailedException", Item={name: {"S": value} for name, value in item.items()})
