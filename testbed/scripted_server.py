"""HTTP server with scripted answers, in place of an AWS service."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, str] | None

OK: Answer = (200, "{}")
NO_ANSWER: Answer = None
"""Reads the request and sends nothing; the connection stays open until the server stops."""
STALLED: Answer = (-1, "{}")
"""Sends all of an answer but its last byte."""


class ScriptedServer(ThreadingHTTPServer):
    """Answers each request with the next of `answers`, and repeats the last one.

    Attributes:
        requests: decoded bodies of all requests.
        connections: number of accepted connections.
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
        """Count the connection and handle it in a new thread."""
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, *_: Any) -> None:
        """Log nothing where a client disconnects."""


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: a second one waits 40 ms for the acknowledgement of the first
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
        """Log nothing."""


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """Run a server on a free port."""
    with ScriptedServer() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.stopped.set()
            server.shutdown()


def json_answer(**content: Any) -> Answer:
    """Successful answer with a JSON body."""
    return 200, json.dumps(content)


def error(code: str, status: int = 400, **more: Any) -> Answer:
    """DynamoDB error answer with `code`."""
    return status, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "why", **more})


def refused(**item: str) -> Answer:
    """DynamoDB error answer to a write whose condition `item` does not meet."""
    return error("ConditionalCheckFailedException", Item={name: {"S": value} for name, value in item.items()})
