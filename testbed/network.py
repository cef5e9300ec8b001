"""Local network: free ports, waiting for servers, and a guard against connections to other hosts."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_START_SECONDS = 30
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


@contextmanager
def only_this_machine() -> Iterator[list[str]]:
    """Refuse connections and DNS lookups beyond the loopback interface, and yield the refused hosts.

    Either raises `ConnectionRefusedError`. Sockets of C libraries are not covered.
    """
    refused: list[str] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def check(host: object) -> None:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if host is not None and name not in _THIS_MACHINE:
            refused.append(name)
            raise ConnectionRefusedError(f"{name} is not on the loopback interface")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            check(address[0])
        connect(self, address)

    def guarded_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        check(host)
        return look_up(host, *arguments, **options)

    socket.socket.connect = guarded_connect  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = guarded_look_up
    try:
        yield refused
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        socket.getaddrinfo = look_up


def free_port() -> int:
    """Find an unused port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Return as soon as `port` accepts connections.

    Raises:
        TimeoutError: it accepts none within 30 seconds.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"port {port} accepts no connections")
