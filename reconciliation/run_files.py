"""The objects of a run in S3, through which its steps pass on what is too large for their payloads."""

import gzip
import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from functions.runtime import setting
from reconciliation.aws import aws_client
from reconciliation.gzip_lines import GzipLines

_HEADER_BYTES = 2048
"""Sufficient for the first line of any file, compressed."""

_READERS = 8
_COPY_BYTES = 1024 * 1024
_LEVEL = 3
"""Compression level. It takes half the CPU time of level 6, and files are a tenth larger."""

JOBS = "jobs.json"
"""By table: the id of the job, `at`, and the ids of its objects."""
PARTS = "parts.json"
"""One entry for each object to compare: the input of a Distributed Map."""
COMPARED = "compared/"
"""By table, part and chunk: a header, then a candidate a line."""
IMPORTS = "imports.jsonl.gz"
"""A header with the counts, then a correction a line."""
NAMES = "names.sqlite"
"""Names of all users, in a full run."""
DECIDED = "decided/"
"""By table, part and chunk: the family, and its counts."""
CORRECTIONS = "corrections/"
"""By table, part and chunk: a correction a line. Each file is the input of a worker that publishes."""
REPORT = "report.json"


class Lines:
    """Lines of text, compressed as they are added to save memory."""

    def __init__(self) -> None:
        self._compressed = io.BytesIO()
        self._gzip = gzip.GzipFile(fileobj=self._compressed, mode="wb", compresslevel=_LEVEL, mtime=0)
        self.count = 0

    def add(self, line: str) -> None:
        """Add a line, without its line break."""
        self._gzip.write(line.encode() + b"\n")
        self.count += 1

    def content(self) -> bytes:
        """All lines, as a gzip file. No line can be added afterwards."""
        self._gzip.close()
        return self._compressed.getvalue()


class RunFiles:
    """The objects of one run in the bucket of runs, by their names below its prefix.

    A repeated step overwrites the same names, so that nothing is counted twice.
    """

    def __init__(self, run: str) -> None:
        self._bucket = setting("RUN_BUCKET")
        self._prefix = f"runs/{run}/"
        self._s3 = aws_client("s3")

    def write_json(self, name: str, value: object) -> None:
        """Write `value` as the object `name`."""
        self._put(name, json.dumps(value).encode())

    def read_json(self, name: str) -> Any:
        """Read the object `name` that `write_json` wrote."""
        return json.loads(self._get(name))

    def read_all_json(self, names: Sequence[str]) -> Iterator[Any]:
        """Read many objects concurrently, in the order of `names`."""
        with ThreadPoolExecutor(_READERS) as pool:
            yield from pool.map(self.read_json, names)

    def write_lines(self, name: str, lines: Lines, *, header: object = None) -> None:
        """Write `lines`, after a first line with `header` in JSON where there is one."""
        content = lines.content()
        if header is not None:
            first = Lines()
            first.add(json.dumps(header))
            content = first.content() + content
        self._put(name, content)

    def read_lines(self, name: str) -> Iterator[bytes]:
        """The lines of an object, including the header. Only the compressed file is in memory."""
        with gzip.open(io.BytesIO(self._get(name))) as lines:
            for line in lines:
                yield line.rstrip(b"\n")

    def read_headers(self, names: Sequence[str]) -> Iterator[Any]:
        """Read the headers of many files of lines concurrently, in the order of `names`."""
        with ThreadPoolExecutor(_READERS) as pool:
            yield from pool.map(self._read_header, names)

    def names(self, prefix: str) -> list[str]:
        """The names of all objects that begin with `prefix`, sorted."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
        keys = (found["Key"] for page in pages for found in page.get("Contents", ()))
        return sorted(map(self.name, keys))

    def name(self, key: str) -> str:
        """The name of the object with the key `key` in the bucket."""
        return key.removeprefix(self._prefix)

    def upload(self, path: Path, name: str) -> None:
        """Write the file `path` as the object `name`."""
        with path.open("rb") as file:
            self._s3.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=file)

    def download(self, name: str, path: Path) -> None:
        """Write the object `name` to the file `path`."""
        body = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name)["Body"]
        with path.open("wb") as file:
            for data in body.iter_chunks(_COPY_BYTES):
                file.write(data)

    def _put(self, name: str, content: bytes) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content)

    def _get(self, name: str, **options: str) -> bytes:
        answer = self._s3.get_object(Bucket=self._bucket, Key=self._prefix + name, **options)
        content: bytes = answer["Body"].read()
        return content

    def _read_header(self, name: str) -> Any:
        start = self._get(name, Range=f"bytes=0-{_HEADER_BYTES - 1}")
        return json.loads(next(GzipLines().feed(start)))
