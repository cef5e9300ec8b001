"""Test double of the REST API of Canvas: the root account, its SIS imports, and an enrollment by id.

Source: canvas-lms, `sis_imports_api_controller.rb`, `sis_batch.rb` (`as_json`), `enrollments_api_controller.rb`,
`lib/api/v1/user.rb` (`API_ENROLLMENT_JSON_OPTS`), `app/middleware/request_throttle.rb`.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from testbed.canvas.faults import Faults
from testbed.canvas.live_events import seconds
from testbed.canvas.rows import Enrollment, SisImport
from testbed.canvas.school import School

TOKEN = "double-token"  # noqa: S105 - not a secret

_LARGEST_PAGE = 100
_SMALLEST_PAGE = "10"


class RestApi:
    """Routes of the REST API. Every answer has a `Date` and the remaining rate limit."""

    def __init__(self, school: School, faults: Faults) -> None:
        self.replica_lag = timedelta(0)
        """Age of enrollments, which are read from a replica."""
        self.rate_limit_remaining = 700.0
        """Value of `X-Rate-Limit-Remaining`."""
        self._school = school
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        """All routes, for the application."""
        account = "/api/v1/accounts/{account}"
        return [
            web.get(account, self._account),
            web.get(f"{account}/sis_imports", self._sis_imports),
            web.get(f"{account}/sis_imports/{{import}}", self._sis_import),
            web.get(f"{account}/enrollments/{{enrollment}}", self._enrollment),
        ]

    def refuse(self, request: web.Request) -> web.Response | None:
        """Error answer to an unauthorized request, `None` where it is authorized."""
        line = f"{request.method} {request.path_qs}"
        if self._faults.take(line, "credentials refused") or request.headers.get("Authorization") != f"Bearer {TOKEN}":
            answer = _errors(401, "Invalid access token.")
            answer.headers["WWW-Authenticate"] = 'Bearer realm="canvas-lms"'
            return answer
        if self._faults.take(line, "rate limit exceeded"):
            return web.Response(status=403, text="403 Forbidden (Rate Limit Exceeded)\n")
        if not self._is_root(request.match_info.get("account", "")):
            return _errors(404, "The specified resource does not exist.")
        return None

    def headers(self) -> dict[str, str]:
        """Headers of every answer."""
        return {
            "Date": self._school.now.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "X-Request-Cost": "0.05",
            "X-Rate-Limit-Remaining": str(self.rate_limit_remaining),
        }

    def _is_root(self, account: str) -> bool:
        if account == "self":
            return True
        return account.isascii() and account.isdigit() and self._school.row_id(account) == self._school.account_id

    async def _account(self, _: web.Request) -> web.Response:
        account = {
            "id": self._school.account_id,
            "name": "Example University",
            "workflow_state": "active",
            "parent_account_id": None,
            "root_account_id": None,
            "uuid": "doubleofcanvas",
            "default_time_zone": "America/New_York",
        }
        return web.json_response(account)

    async def _sis_imports(self, request: web.Request) -> web.Response:
        since, before = request.query.get("created_since"), request.query.get("created_before")
        states = request.query.getall("workflow_state[]", [])
        try:
            rows = [
                each
                for each in self._school.sis_imports.rows()
                if (not states or each.workflow_state in states)
                and (since is None or each.created_at > _moment(since))
                and (before is None or each.created_at < _moment(before))
            ]
            size = min(_LARGEST_PAGE, int(request.query.get("per_page", _SMALLEST_PAGE)))
            page = int(request.query.get("page", "1"))
        except ValueError:
            return _errors(400, "Invalid parameter.")
        rows.sort(key=lambda each: (each.created_at, each.id), reverse=True)
        shown = rows[(page - 1) * size : page * size]
        last = max(1, -(-len(rows) // size))
        links = {"current": page, "next": page + 1, "prev": page - 1, "first": 1, "last": last}
        link = ",".join(
            f'<{_url(request, number, size)}>; rel="{name}"' for name, number in links.items() if 0 < number <= last
        )
        return web.json_response({"sis_imports": [_sis_import_json(each) for each in shown]}, headers={"Link": link})

    async def _sis_import(self, request: web.Request) -> web.Response:
        number = _number(request.match_info["import"])
        if number not in self._school.sis_imports:
            return _errors(404, "The specified resource does not exist.")
        return web.json_response(_sis_import_json(self._school.sis_imports[number]))

    async def _enrollment(self, request: web.Request) -> web.Response:
        key = self._school.row_id(_number(request.match_info["enrollment"]))
        version = self._school.enrollments.version_at(key, self._school.now - self.replica_lag)
        if version is None or version.row is None:
            return _errors(404, "The specified resource does not exist.")
        return web.json_response(self._enrollment_json(version.row))

    def _enrollment_json(self, row: Enrollment) -> dict[str, Any]:
        course, section = self._school.courses[row.course_id], self._school.sections[row.course_section_id]
        deleted = "deleted" in {course.workflow_state, section.workflow_state}
        return {
            "id": row.id,
            "root_account_id": self._school.account_id,
            "user_id": row.user_id,
            "course_id": row.course_id,
            "course_section_id": row.course_section_id,
            "associated_user_id": row.associated_user_id,
            "limit_privileges_to_course_section": row.limit_privileges_to_course_section,
            "enrollment_state": "deleted" if deleted else row.workflow_state,
            "type": row.type,
            "role": row.type,
            "role_id": row.role_id,
            "sis_import_id": row.sis_batch_id,
            "last_activity_at": seconds(row.last_activity_at),
            "created_at": seconds(row.created_at),
            "updated_at": seconds(row.updated_at),
        }


def _sis_import_json(row: SisImport) -> dict[str, Any]:
    return {
        "id": row.id,
        "created_at": seconds(row.created_at),
        "started_at": seconds(row.started_at),
        "ended_at": seconds(row.ended_at),
        "updated_at": seconds(row.updated_at),
        "progress": row.progress,
        "workflow_state": row.workflow_state,
        "data": {"import_type": "instructure_csv"},
        "batch_mode": None,
        "clear_sis_stickiness": None,
        "override_sis_stickiness": None,
    }


def _url(request: web.Request, page: int, size: int) -> str:
    kept: Iterable[tuple[str, str]] = (item for item in request.query.items() if item[0] not in {"page", "per_page"})
    return f"{request.url.origin()}{request.path}?{urlencode([*kept, ('page', page), ('per_page', size)])}"


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace(" ", "+"))
    if moment.tzinfo is None:
        raise ValueError
    return moment


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _errors(status: int, message: str) -> web.Response:
    return web.json_response({"errors": [{"message": message}]}, status=status)
