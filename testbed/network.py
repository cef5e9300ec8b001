"""Refuses connections that leave this machine, so that a test can say that a client makes none."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


@contextmanager
def only_this_machine() -> Iterator[list[str]]:
    """Let this process connect to itself only; yields the other hosts that it looked up or tried to connect to.

    Either raises `ConnectionRefusedError`. Sockets of C libraries are not seen.
    """
    refused: list[str] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def check(host: object) -> None:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if host is not None and name not in _THIS_MACHINE:
            refused.append(name)
            raise ConnectionRefusedError(f"{name} is not this machine")

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
