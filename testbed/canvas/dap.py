"""Test double of the Data Access Platform (DAP): login, jobs, objects and the files behind pre-signed URLs.

Source: instructure-dap-client 2.3.1, `dap/api.py`, `dap_types.py` and `dap_error.py`.
"""

import base64
import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args
from uuid import uuid4

from aiohttp import web

from testbed.canvas.faults import Faults
from testbed.canvas.lake import COLUMNS_OF, KEY_OF, Lake, LakeTableName
from testbed.canvas.school import School

CLIENT_ID = "double"
CLIENT_SECRET = "double-secret"  # noqa: S105 - not a secret

_JOB_LIFETIME = timedelta(hours=24)
_URL_LIFETIME = timedelta(minutes=15)
_TOKEN_LIFETIME = timedelta(hours=1)
_FIRST_JOB_STATES = ("waiting", "running")

Query = tuple[tuple[str, str], ...]


@dataclass
class Job:
    """A query of one table, with its result as of the first request. It expires after 24 hours of simulated time."""

    id: str
    created_at: datetime
    times: dict[str, str]
    parts: Sequence[bytes]
    polls: int
    outcome: Literal["complete", "failed", "running"] = "complete"

    def is_expired(self, now: datetime) -> bool:
        """Whether the job has expired at the simulated time `now`."""
        return now >= self.created_at + _JOB_LIFETIME

    def answer(self, now: datetime) -> dict[str, Any]:
        """JSON of the job at the simulated time `now`: waiting, running, then complete or failed.

        `expires_at` is a real time, since the client compares it with the real clock.
        """
        expires_at = datetime.now(UTC) + (self.created_at + _JOB_LIFETIME - now)
        head = {"id": self.id, "expires_at": expires_at.isoformat()}
        if self.polls > 0 or self.outcome == "running":
            return head | {"status": _FIRST_JOB_STATES[self.polls <= 1]}
        if self.outcome == "failed":
            return head | {"status": "failed", "error": _error("ProcessingError", "The query could not be executed.")}
        objects = [{"id": f"{self.id}/{_file_name(number)}"} for number in range(len(self.parts))]
        return head | {"status": "complete", "schema_version": 1, "objects": objects} | self.times


class DataAccessPlatform:
    """Routes of DAP and of its object storage, which serve a lake."""

    def __init__(self, school: School, lake: Lake, faults: Faults) -> None:
        self.lake = lake
        self.earliest_since: datetime | None = None
        """Incremental queries since an earlier time fail with `OutOfRange`."""
        self.rows_per_part = 2_000
        """Rows per object of a result, which has at least one object."""
        self.polls = 2
        """Number of requests until a job has ended; 0: the first answer is the last."""
        self._faults = faults
        self._school = school
        self._jobs: dict[str, Job] = {}
        self._jobs_of: dict[Query, Job] = {}
        self._tokens: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        """All routes, for the application."""
        return [
            web.post("/ids/auth/login", self._login),
            web.get("/dap/query/canvas/table", self._tables),
            web.get("/dap/query/canvas/table/{table}/schema", self._schema),
            web.post("/dap/query/canvas/table/{table}/data", self._query),
            web.get("/dap/job/{job}", self._job),
            web.post("/dap/object/url", self._urls),
            web.get("/objects/{job}/{file}", self._file),
        ]

    def refuse(self, request: web.Request) -> web.Response | None:
        """Error answer to an unauthorized request, `None` where it is authorized."""
        line = f"{request.method} {request.path_qs}"
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        known = request.path == "/ids/auth/login" or token in self._tokens
        if self._faults.take(line, "credentials refused") or not known:
            return _refusal(401, "AuthenticationError", "The credentials are not valid.")
        if self._faults.take(line, "under maintenance"):
            return _refusal(403, "AccountUnderMaintenance", "The account is under maintenance.")
        return None

    def forget_jobs(self) -> None:
        """Start a new job for the next query, even if it repeats an earlier one. Existing jobs can still be read."""
        self._jobs_of.clear()

    async def _login(self, request: web.Request) -> web.Response:
        if self._faults.take(f"{request.method} {request.path_qs}", "invalid client"):
            return web.json_response({"error": "invalid_client"}, status=401)
        credentials = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        form = await request.post()
        if request.headers.get("Authorization") != f"Basic {credentials}" or form.get("grant_type") != _GRANT:
            return _refusal(401, "AuthenticationError", "The credentials are not valid.")
        expiry = datetime.now(UTC) + _TOKEN_LIFETIME  # the client compares it with the real clock
        claims = {"sub": CLIENT_ID, "exp": int(expiry.timestamp()), "jti": str(uuid4())}
        token = ".".join((_base64url({"alg": "HS256", "typ": "JWT"}), _base64url(claims), _base64url("signature")))
        self._tokens.add(token)
        lifetime = int(_TOKEN_LIFETIME.total_seconds())
        return web.json_response(
            {"access_token": token, "expires_in": lifetime, "scope": "dap:api", "token_type": "Bearer"}
        )

    async def _tables(self, _: web.Request) -> web.Response:
        return web.json_response({"tables": list(get_args(LakeTableName))})

    async def _schema(self, request: web.Request) -> web.Response:
        if (name := _table(request)) is None:
            return _not_found("table", request.match_info["table"])
        key = {"type": "object", "properties": {KEY_OF[name]: {"type": "integer", "format": "int64"}}}
        value = {"type": "object", "properties": {column: {} for column in COLUMNS_OF[name]}}
        schema = {"type": "object", "properties": {"key": key, "value": value, "meta": {"type": "object"}}}
        return web.json_response({"schema": schema, "version": 1})

    async def _query(self, request: web.Request) -> web.Response:
        if (name := _table(request)) is None:
            return _not_found("table", request.match_info["table"])
        line = f"{request.method} {request.path_qs}"
        query: dict[str, str] = await request.json()
        if query.get("format") != "jsonl":
            location = {"line": 1, "column": 1, "character": 1}
            return _refusal(400, "ValidationError", "Only the format jsonl is supported.", location=location)
        since = datetime.fromisoformat(query["since"]) if "since" in query else None
        earliest = self.earliest_since or self.lake.at(name)
        bounds = {"since": earliest.isoformat(), "until": self.lake.at(name).isoformat()}
        if since is None and self._faults.take(line, "snapshots forbidden"):
            return _refusal(403, "RequestTypeForbidden", "Snapshots are not allowed.")
        if since is not None and self._faults.take(line, "snapshot required"):
            return _refusal(400, "SnapshotRequired", "The table was reloaded: a snapshot is required.", **bounds)
        if since is not None and self.earliest_since is not None and since < self.earliest_since:
            return _refusal(400, "OutOfRange", "since is outside of the permitted range.", **bounds)
        identity: Query = (("table", name), *sorted(query.items()))
        job = self._jobs_of.get(identity)
        if job is None or job.outcome == "failed" or job.is_expired(self._school.now):
            job = self._jobs_of[identity] = self._new_job(name, query, since)
            self._jobs[job.id] = job
            if self._faults.take(line, "job fails"):
                job.outcome = "failed"
            elif self._faults.take(line, "job never completes"):
                job.outcome = "running"
        return web.json_response(job.answer(self._school.now))

    def _new_job(self, name: LakeTableName, query: dict[str, str], since: datetime | None) -> Job:
        at = self.lake.at(name)
        if since is None:
            times, lines = {"at": at.isoformat()}, self.lake.snapshot(name)
        else:
            until = datetime.fromisoformat(query["until"]) if "until" in query else max(at, since)
            times = {"since": since.isoformat(), "until": until.isoformat()}
            lines = self.lake.incremental(name, since, until)
        parts = list(_parts(lines, self.rows_per_part))
        return Job(str(uuid4()), self._school.now, times, parts, self.polls)

    async def _job(self, request: web.Request) -> web.Response:
        job = self._jobs.get(request.match_info["job"])
        if job is None or job.is_expired(self._school.now):
            return _not_found("job", request.match_info["job"])
        job.polls -= 1
        return web.json_response(job.answer(self._school.now))

    async def _urls(self, request: web.Request) -> web.Response:
        urls = {}
        expires = int((datetime.now(UTC) + _URL_LIFETIME).timestamp())
        for each in await request.json():
            vanished = self._faults.take(f"{request.method} {request.path} {each['id']}", "object vanished")
            if vanished or self._part(*each["id"].rpartition("/")[::2]) is None:
                return _not_found("object", each["id"])
            urls[each["id"]] = {
                "url": f"{request.url.origin()}/objects/{each['id']}?expires={expires}&signature=double"
            }
        return web.json_response({"urls": urls})

    async def _file(self, request: web.Request) -> web.Response:
        line = f"{request.method} {request.path_qs}"
        expires = request.query.get("expires", "0")
        expired = int(expires) < datetime.now(UTC).timestamp()
        if self._faults.take(line, "url expired") or expired or request.query.get("signature") != "double":
            return web.Response(
                status=403, text="<Error><Code>AccessDenied</Code></Error>", content_type="application/xml"
            )
        if "Authorization" in request.headers:  # S3 allows one way of authentication per request
            return web.Response(status=400, text="<Error><Code>InvalidArgument</Code></Error>")
        part = self._part(request.match_info["job"], request.match_info["file"])
        if part is None:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        if self._faults.take(line, "gzip truncated"):
            part = part[: len(part) // 2]
        if self._faults.take(line, "gzip corrupt"):
            middle = len(part) // 2
            part = part[:middle] + bytes(byte ^ 0xFF for byte in part[middle : middle + 16]) + part[middle + 16 :]
        return web.Response(body=part, content_type="application/octet-stream")

    def _part(self, job_id: str, file_name: str) -> bytes | None:
        job = self._jobs.get(job_id)
        names = [_file_name(number) for number in range(len(job.parts))] if job else []
        return job.parts[names.index(file_name)] if job and file_name in names else None


_GRANT = "client_credentials"


def _table(request: web.Request) -> LakeTableName | None:
    return next((name for name in get_args(LakeTableName) if name == request.match_info["table"]), None)


def _parts(lines: Iterable[bytes], rows_per_part: int) -> Iterable[bytes]:
    everything = list(lines)
    for first in range(0, max(1, len(everything)), rows_per_part):
        yield gzip.compress(b"".join(line + b"\n" for line in everything[first : first + rows_per_part]), mtime=0)


def _file_name(number: int) -> str:
    return f"part-{number:05}.jsonl.gz"


def _base64url(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _error(error_type: str, message: str, **details: object) -> dict[str, object]:
    return {"type": error_type, "uuid": str(uuid4()), "message": message} | details


def _refusal(status: int, error_type: str, message: str, **details: object) -> web.Response:
    return web.json_response({"error": _error(error_type, message, **details)}, status=status)


def _not_found(kind: str, entity: str) -> web.Response:
    return _refusal(404, "NotFound", f"The {kind} does not exist or has expired.", id=entity, kind=kind)
