"""Lines of a gzipped stream: whatever its blocks, its members and its end, in bounded memory."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciliation.gzip_lines import MAX_LINE_BYTES, TOO_LONG, GzipLines, UnreadableGzip


def read(stream, *, block=1000):
    """Every line of `stream`, which arrives in blocks of so many bytes."""
    lines = GzipLines()
    found = [line for start in range(0, len(stream), block) for line in lines.feed(stream[start : start + block])]
    return [*found, *lines.close()]


@given(
    lines=st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b""))),
    block=st.integers(1, 50),
    members=st.integers(1, 4),
    padding=st.binary(max_size=9).map(lambda zeros: b"\0" * len(zeros)),
)
def test_the_lines_are_the_same_in_whatever_blocks_and_members_they_arrive(lines, block, members, padding):
    text = b"".join(line + b"\n" for line in lines)
    size = len(text) // members + 1
    stream = b"".join(gzip.compress(text[start : start + size]) for start in range(0, len(text) or 1, size))
    assert read(stream + padding, block=block) == lines


def test_the_last_line_needs_no_line_break():
    assert read(gzip.compress(b"one\ntwo")) == [b"one", b"two"]
    assert read(gzip.compress(b"")) == []


@pytest.mark.parametrize("cut", [0, 1, 10, -1, -8, -9])
def test_a_truncated_stream_is_refused_wherever_it_is_cut(cut):
    stream = gzip.compress(b"one\ntwo\n" * 100)
    with pytest.raises(UnreadableGzip, match="truncated"):
        read(stream[:cut])


def test_a_stream_that_ends_before_its_second_member_ends_is_refused():
    with pytest.raises(UnreadableGzip, match="truncated"):
        read(gzip.compress(b"one\n") + gzip.compress(b"two\n")[:-3])


@pytest.mark.parametrize(
    "stream",
    [
        b'{"key": {"id": 1}}\n',
        zlib.compress(b"one\n"),
        gzip.compress(b"one\n") + b"upstream connect error",
        gzip.compress(b"one\n" * 100)[:-8] + b"\0" * 8,
        b"\x1f\x8b\x08\x00" + b"\xff" * 100,
    ],
    ids=["JSON", "zlib", "more than gzip", "another checksum", "a header alone"],
)
def test_what_is_not_gzip_is_refused(stream):
    with pytest.raises(UnreadableGzip, match="not gzip"):
        read(stream)


def test_a_line_that_is_too_long_is_replaced_and_disturbs_no_other():
    long, longest = b"x" * (MAX_LINE_BYTES + 1), b"y" * MAX_LINE_BYTES
    lines = [b"one", long, longest, long * 10, b"two"]
    assert read(gzip.compress(b"\n".join(lines))) == [b"one", TOO_LONG, longest, TOO_LONG, b"two"]
    assert read(gzip.compress(long)) == [TOO_LONG]


def test_memory_is_bounded_where_a_small_stream_is_a_large_text():
    # GIVEN a stream of some kilobytes that decompresses to 32 MB without a line break
    stream = gzip.compress(b"\0" * (32 * 1024 * 1024))

    # WHEN it is read at once
    tracemalloc.start()
    assert read(stream, block=len(stream)) == [TOO_LONG]

    # THEN little memory was needed
    assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    tracemalloc.stop()
