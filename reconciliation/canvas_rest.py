"""SIS imports by Canvas' REST API: Canvas Data 2 has no table of them.

Source of the limits: canvas-lms, `RequestThrottle`; Instructure's API documentation, "Throttling".
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from canvasapi.account import Account  # type: ignore[import-untyped]
from canvasapi.exceptions import ResourceDoesNotExist  # type: ignore[import-untyped]
from canvasapi.requester import Requester  # type: ignore[import-untyped]
from pydantic_core import PydanticCustomError
from requests.adapters import HTTPAdapter

from functions.canvas.fields import parse_timestamp
from functions.canvas.ids import id_text, local_id
from functions.runtime import setting
from reconciliation.credentials import read_secret
from reconciliation.failure import AccountNotEnabled, CredentialsRefused, TemporaryFailure
from reconciliation.imports import SisImportAnswer

# They write bodies, and URLs with their queries.
for _name in ("canvasapi", "requests", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

_TIMEOUT = (10, 60)
"""Seconds to connect, and between two bytes of an answer."""
_ATTEMPTS = 5
_LONGEST_WAIT_SECONDS = 60.0

_SLOW_BELOW = 200.0
"""What the bucket of our token must have left for the next request to be sent at once; it is full at 600."""
_LEAK_PER_SECOND = 10.0

_UNAUTHORIZED = 401
_FORBIDDEN = 403
_THROTTLED = 429
_SERVER_ERROR = 500
_THROTTLED_TEXT = b"Rate Limit Exceeded"
"""What Canvas answered with status 403 until October 2025. Source: ucfopen/canvasapi issue 704."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """When Canvas answered a request.

    Attributes:
        date: the header `Date`, whole seconds of Canvas' clock.
        elapsed: how long the answer took.
    """

    date: datetime
    elapsed: timedelta


@dataclass(frozen=True, kw_only=True)
class ImportOnPage:
    """What Canvas says of one import, `None` where it cannot be read, and when it said so."""

    answer: SisImportAnswer | None
    page: Page


class CanvasRest:
    """The SIS imports of one root account, asked for one request at a time.

    Its methods raise CredentialsRefused, AccountNotEnabled and TemporaryFailure. Any other error may be temporary.
    """

    def __init__(self, url: str, secret_arn: str, root_account_id: str) -> None:
        base_url = url.rstrip("/")
        # The client never has the token: its adapter adds it to requests that go to Canvas, and to no other.
        requester = Requester(base_url, "")
        self._adapter = _Adapter(secret_arn)
        session: requests.Session = requester._session  # noqa: SLF001  # it offers no other way to set a timeout
        session.trust_env = False
        session.mount(f"{base_url}/", self._adapter)
        self._account = Account(requester, {"id": local_id(root_account_id)})

    def sis_imports(self, *, created_since: datetime) -> Iterator[ImportOnPage]:
        """The imports that were created since `created_since`, newest first.

        The client keeps all of them in memory: a school has some hundreds a week.
        """
        try:
            # A page is requested when its first import is.
            for found in self._account.get_sis_imports(created_since=created_since.isoformat()):
                yield ImportOnPage(answer=_answer(found), page=self._adapter.page)
        except ResourceDoesNotExist:
            raise AccountNotEnabled(
                f"Canvas shows the token no root account {self._account.id}: correct root_account_id or canvas_url of "
                "the stage in stages.toml, or make a token of an administrator of that account."
            ) from None

    def sis_import(self, sis_batch_id: int) -> ImportOnPage | None:
        """One import by its local id, `None` where Canvas no longer has it."""
        try:
            found = self._account.get_sis_import(sis_batch_id)
        except ResourceDoesNotExist:
            return None
        return ImportOnPage(answer=_answer(found), page=self._adapter.page)


def canvas_rest() -> CanvasRest:
    """Canvas as the stage's settings say."""
    return CanvasRest(setting("CANVAS_URL"), setting("CANVAS_SECRET_ARN"), setting("ROOT_ACCOUNT_ID"))


class _Adapter(HTTPAdapter):
    """Sends requests to Canvas with the token, timeouts, and patience with its throttle."""

    page: Page
    """Of the last answer."""

    def __init__(self, secret_arn: str) -> None:
        super().__init__()
        self._secret_arn = secret_arn
        self._token: str | None = None
        self._left = _SLOW_BELOW

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        """Send `request` until Canvas answers it.

        Raises:
            CredentialsRefused: Canvas does not accept the token, also after the secret was read again.
            TemporaryFailure: Canvas does not answer however often it is asked, or asks to wait for long.
        """
        _sleep(max(0.0, _SLOW_BELOW - self._left) / _LEAK_PER_SECOND)
        attempt = 0
        while True:
            attempt += 1
            wait = 2.0**attempt
            try:
                response = self._send_as_ourselves(request, options | {"timeout": _TIMEOUT})
            except (requests.ConnectionError, requests.Timeout) as error:
                problem = type(error).__name__
            else:
                if not _is_busy(response):
                    self._left = _number(response, "X-Rate-Limit-Remaining", default=_SLOW_BELOW)
                    return response
                problem = f"status {response.status_code}"
                wait = max(0.0, _number(response, "Retry-After", default=wait))
                response.close()
            if attempt == _ATTEMPTS or wait > _LONGEST_WAIT_SECONDS:
                raise TemporaryFailure(f"Canvas does not answer ({problem}, attempt {attempt}). Try again later.")
            _sleep(wait)

    def _send_as_ourselves(self, request: requests.PreparedRequest, options: dict[str, Any]) -> requests.Response:
        """Send with the token; after a refusal once more, with what the secret holds then."""
        for _ in range(2):
            if self._token is None:
                self._token = read_secret(self._secret_arn, "token")["token"]
            request.headers["Authorization"] = f"Bearer {self._token}"
            started = time.monotonic()
            response = super().send(request, **options)
            elapsed = timedelta(seconds=time.monotonic() - started)
            if not _is_refusal(response):
                self.page = Page(date=_date(response), elapsed=elapsed)
                return response
            self._token = None
            response.close()
        raise CredentialsRefused(
            f"Canvas does not accept the token in {self._secret_arn} for SIS imports (status {response.status_code}). "
            "Store a token there of a user who may import or manage SIS data."
        )


def _answer(found: object) -> SisImportAnswer | None:
    sis_batch_id, state = id_text(getattr(found, "id", None)), getattr(found, "workflow_state", None)
    times = {name: getattr(found, name, None) for name in ("ended_at", "updated_at")}
    if sis_batch_id is None or not (isinstance(state, str) and state):
        return None
    try:
        for time_told in times.values():
            if time_told is not None:
                parse_timestamp(time_told)
    except PydanticCustomError:
        return None
    return SisImportAnswer(sis_batch_id=local_id(sis_batch_id), workflow_state=state, **times)


def _is_busy(response: requests.Response) -> bool:
    return response.status_code == _THROTTLED or response.status_code >= _SERVER_ERROR or _is_throttled(response)


def _is_refusal(response: requests.Response) -> bool:
    return response.status_code in (_UNAUTHORIZED, _FORBIDDEN) and not _is_throttled(response)


def _is_throttled(response: requests.Response) -> bool:
    return response.status_code == _FORBIDDEN and _THROTTLED_TEXT in response.content


def _number(response: requests.Response, header: str, *, default: float) -> float:
    try:
        return float(response.headers[header])
    except (KeyError, ValueError):
        return default


def _date(response: requests.Response) -> datetime:
    try:
        return parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError):
        raise TemporaryFailure(
            "Canvas' answer has no Date, so its imports cannot be ordered. Is there a proxy that removes it?"
        ) from None


# Replaced in tests.
_sleep = time.sleep
