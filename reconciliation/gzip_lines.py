"""Lines of a gzip stream, decompressed as it arrives, in bounded memory."""

import zlib
from collections.abc import Iterator

MAX_LINE_BYTES = 64 * 1024
"""Size limit of a line. A row of Canvas Data 2 has some hundred bytes."""

TOO_LONG = b""
"""Placeholder of a line that is longer than `MAX_LINE_BYTES`. No row is empty."""

_BLOCK_BYTES = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS


class UnreadableGzip(Exception):
    """Raised for a stream that is not gzip, or is truncated."""


class GzipLines:
    """Decompresses a stream block by block. It may consist of several gzip members."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that end in `data`, the next bytes of the stream, without their line breaks.

        Raises:
            UnreadableGzip: the stream is not gzip.
        """
        full = False
        while data or full:
            if self._member.eof:
                data = data.lstrip(b"\0")  # padding, as gzip itself allows
                if not data:
                    return
                self._member = zlib.decompressobj(_GZIP)
            try:
                block = self._member.decompress(data, _BLOCK_BYTES)
            except zlib.error:
                raise UnreadableGzip("not gzip") from None
            full = len(block) == _BLOCK_BYTES  # more may be left inside
            data = self._member.unused_data or self._member.unconsumed_tail
            yield from self._lines(block)

    def close(self) -> Iterator[bytes]:
        """The last line, where it has no line break.

        Raises:
            UnreadableGzip: the stream is truncated.
        """
        if not self._member.eof:
            raise UnreadableGzip("truncated")
        if self._rest:
            yield _checked(self._rest)

    def _lines(self, block: bytes) -> Iterator[bytes]:
        *lines, rest = (self._rest + block).split(b"\n")
        self._rest = rest[: MAX_LINE_BYTES + 1]
        yield from map(_checked, lines)


def _checked(line: bytes) -> bytes:
    return line if len(line) <= MAX_LINE_BYTES else TOO_LONG
