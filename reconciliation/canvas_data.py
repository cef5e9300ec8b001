"""Canvas Data 2 through the client of Instructure: jobs, and the lines of their objects.

Source of limits and lifetimes: docstrings of `instructure-dap-client`, and Instructure's "Limits and policies".
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Self, TypeVar

import aiohttp
from dap.api import DAPClient, DAPSession
from dap.dap_error import AuthenticationError, NotFoundError, OutOfRangeError, ServerError, SnapshotRequiredError
from dap.dap_types import (
    CompleteIncrementalJob,
    CompleteSnapshotJob,
    Credentials,
    FailedJob,
    Format,
    IncrementalQuery,
    Object,
    SnapshotQuery,
)
from yarl import URL

from functions.canvas.fields import format_timestamp
from functions.runtime import setting
from reconciliation.credentials import read_secret
from reconciliation.dap_failures import ANOTHER_RUN, error_number, run_failures
from reconciliation.failure import CredentialsRefused, JobFailed, PartUnreadable
from reconciliation.gzip_lines import GzipLines, UnreadableGzip

# They log responses and signed URLs.
for _name in ("dap", "aiohttp", "aiohttp_retry", "asyncio"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

NAMESPACE = "canvas"

_CALL_SECONDS = 150
"""Timeout of a call with its retries: after "too many requests" the client waits twice, for 30 s or `Retry-After`."""

_DOWNLOADS = 5
"""Attempts to download an object that yield no new line, including the first."""

_BACKOFF_SECONDS = 2.0
_READ_BYTES = 256 * 1024

# Without `Accept-Encoding: identity` a server may compress the object once more.
_DOWNLOAD_HEADERS = {"Accept-Encoding": "identity"}

_INVALID_CLIENT = frozenset({"invalid_client", "unauthorized_client", "access_denied"})
"""OAuth 2.0 errors that the client does not recognise. Source: RFC 6749, section 5.2."""

_SNAPSHOT_REQUIRED = "SnapshotRequired"

T = TypeVar("T")


@dataclass(frozen=True)
class TableResult:
    """The result of a complete job.

    Attributes:
        at: the time until which the lake reports the result as complete, in the stored form.
        objects: the ids of its objects, in the order of the job.
    """

    at: str
    objects: tuple[str, ...]


class CanvasData:
    """A session with Canvas Data 2, with the credentials of a secret.

    Its methods raise these subclasses of `RunFailed`: CredentialsRefused, AccountNotEnabled, UnderMaintenance,
    RequestTypeForbidden, SnapshotRequired, JobFailed, PartUnreadable. Any other error may be temporary.
    """

    def __init__(self, url: str, secret_arn: str) -> None:
        self._url = url
        self._secret_arn = secret_arn
        self._sessions = AsyncExitStack()
        self._session: DAPSession | None = None

    async def __aenter__(self) -> Self:
        # Objects are downloaded without the client, which decompresses too much and has no read timeout.
        self._downloads = aiohttp.ClientSession(
            auto_decompress=False,
            headers=_DOWNLOAD_HEADERS,
            read_bufsize=_READ_BYTES,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._downloads.close()
        await self._sessions.aclose()

    async def query_table(self, table: str, *, since: datetime | None) -> str:
        """Start a job for the rows of `table` that changed since `since`, or for all rows; return its id.

        The same query within 24 hours returns the same job.
        """
        with run_failures(table):
            if since is None:
                snapshot = SnapshotQuery(format=Format.JSONL, mode=None)
                return (await self._call(lambda session: session.query_snapshot(NAMESPACE, table, snapshot))).id
            try:
                return await self._query_since(table, since)
            except OutOfRangeError as error:
                # The client confuses the two errors, which have the same fields.
                if _SNAPSHOT_REQUIRED in error.type:
                    raise SnapshotRequiredError(**vars(error)) from None
                return await self._query_since(table, error.since)

    async def result(self, table: str, job_id: str) -> TableResult | None:
        """The result of a job for `table`, `None` while the job runs."""
        with run_failures(table):
            job = await self._call(lambda session: session.get_job(job_id))
        if isinstance(job, FailedJob):
            raise JobFailed(
                f"Canvas Data 2 could not make the result of table {table} (job {job_id}). Run the same command again; "
                f"if it fails again, ask Instructure's support about error {error_number(job.error.uuid)}."
            )
        if isinstance(job, CompleteSnapshotJob):
            return TableResult(format_timestamp(job.at), tuple(found.id for found in job.objects))
        if isinstance(job, CompleteIncrementalJob):
            return TableResult(format_timestamp(job.until), tuple(found.id for found in job.objects))
        return None

    async def lines(self, object_id: str, *, skip: int = 0) -> AsyncGenerator[bytes, None]:
        """The lines of an object after the first `skip`. Close the iterator after use.

        An interrupted download is repeated, with a new URL, and continues after the last line.

        Raises:
            PartUnreadable: the object is missing, or all attempts to download it failed.
        """
        done = skip
        failures = 0
        while True:
            number = 0
            try:
                async with aclosing(self._download(object_id)) as download:
                    async for line in download:
                        number += 1
                        if number > done:
                            done = number
                            failures = 0
                            yield line
            except (aiohttp.ClientError, TimeoutError, UnreadableGzip) as error:
                failures += 1
                if failures == _DOWNLOADS:
                    raise PartUnreadable(
                        f"Object {object_id} of Canvas Data 2 cannot be read beyond line {done} "
                        f"({_download_reason(error)}; {_DOWNLOADS} attempts). {ANOTHER_RUN}"
                    ) from None
                await asyncio.sleep(_BACKOFF_SECONDS * failures)
            else:
                return

    async def _query_since(self, table: str, since: datetime) -> str:
        query = IncrementalQuery(format=Format.JSONL, mode=None, since=since, until=None)
        job = await self._call(lambda session: session.query_incremental(NAMESPACE, table, query))
        return job.id

    async def _download(self, object_id: str) -> AsyncGenerator[bytes, None]:
        gzip = GzipLines()
        # Requested for each download: the URL expires after 15 minutes.
        url = await self._object_url(object_id)
        async with self._downloads.get(URL(url, encoded=True)) as response:  # requoted, its signature would not match
            response.raise_for_status()
            async for data in response.content.iter_chunked(_READ_BYTES):
                for line in gzip.feed(data):
                    yield line
        for line in gzip.close():
            yield line

    async def _object_url(self, object_id: str) -> str:
        with run_failures("of the result"):
            try:
                resources = await self._call(lambda session: session.get_resources([Object(object_id)]))
                return str(resources[object_id].url)
            except (NotFoundError, KeyError):
                raise PartUnreadable(
                    f"Canvas Data 2 no longer has object {object_id}: it keeps them for a day. {ANOTHER_RUN}"
                ) from None

    async def _call(self, call: Callable[[DAPSession], Awaitable[T]]) -> T:
        """Return the result of `call`; where Canvas Data 2 rejects the session, read the secret again and repeat."""
        try:
            return await self._call_once(call)
        except (AuthenticationError, ServerError) as error:
            if not _is_refusal(error):
                raise
        await self._sessions.aclose()
        self._session = None
        try:
            return await self._call_once(call)
        except (AuthenticationError, ServerError) as error:
            if not _is_refusal(error):
                raise
            raise CredentialsRefused(
                f"Canvas Data 2 does not accept the client id and secret in {self._secret_arn}. Make new ones at "
                "identity.instructure.com and store them in that secret."
            ) from None

    async def _call_once(self, call: Callable[[DAPSession], Awaitable[T]]) -> T:
        async with asyncio.timeout(_CALL_SECONDS):
            if self._session is None:
                secret = await asyncio.to_thread(read_secret, self._secret_arn, "client_id", "client_secret")
                credentials = Credentials.create(client_id=secret["client_id"], client_secret=secret["client_secret"])
                # Tracking would report each use to a third party.
                client = DAPClient(self._url, credentials, tracking=False)
                self._session = await self._sessions.enter_async_context(client)
            return await call(self._session)


def canvas_data() -> CanvasData:
    """Canvas Data 2, as configured for the stage."""
    return CanvasData(setting("CANVAS_DATA_URL"), setting("CANVAS_DATA_SECRET_ARN"))


def _is_refusal(error: AuthenticationError | ServerError) -> bool:
    return isinstance(error, AuthenticationError) or str(error.body) in _INVALID_CLIENT


def _download_reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientResponseError):
        return f"status {error.status}"
    return str(error) if isinstance(error, UnreadableGzip) else type(error).__name__
