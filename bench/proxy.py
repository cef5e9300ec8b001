"""Proxy of DynamoDB that answers after 5 ms, and counts requests and consumed capacity."""

import asyncio
import contextlib
import json
import multiprocessing
import re
from collections.abc import Callable, Iterator
from multiprocessing.sharedctypes import SynchronizedArray
from urllib.parse import urlsplit

SECONDS = 0.005
COUNTS = ("requests", "table_units", "index_units")
_CONTENT_LENGTH = re.compile(rb"(?i)(content-length: *)(\d+)")


@contextlib.contextmanager
def proxy(upstream: str) -> Iterator[tuple[str, Callable[[], list[float]]]]:
    """Run a proxy in a process, and yield its URL and a function that returns its counts in the order of `COUNTS`."""
    context = multiprocessing.get_context("spawn")
    counted, port = context.Array("d", len(COUNTS)), context.Queue()
    process = context.Process(target=_serve, args=(upstream, counted, port), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{port.get(timeout=30)}", lambda: counted[:]
    finally:
        process.kill()
        process.join()


def _serve(upstream: str, counted: "SynchronizedArray[float]", port: "multiprocessing.Queue[int]") -> None:
    address = urlsplit(upstream)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dynamodb, to_dynamodb = await asyncio.open_connection(address.hostname, address.port)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head, body = await _read_message(reader)
                # DynamoDB Local verifies no signatures, so the request can be changed.
                body = json.dumps(json.loads(body) | {"ReturnConsumedCapacity": "INDEXES"}).encode()
                to_dynamodb.write(_CONTENT_LENGTH.sub(rb"\g<1>%d" % len(body), head) + body)
                (head, body), _ = await asyncio.gather(_read_message(dynamodb), asyncio.sleep(SECONDS))
                consumed = json.loads(body).get("ConsumedCapacity", {})
                counted[0] += 1
                counted[1] += consumed.get("Table", {}).get("CapacityUnits", 0)
                counted[2] += sum(i["CapacityUnits"] for i in consumed.get("GlobalSecondaryIndexes", {}).values())
                writer.write(head + body)

    async def serve() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def _read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read head and body of the next HTTP message."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _CONTENT_LENGTH.search(head)
    return head, await reader.readexactly(int(length[2]) if length else 0)
