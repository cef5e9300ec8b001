"""SIS imports through the REST API of Canvas, since Canvas Data 2 has no table of them.

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

# They log bodies, and URLs with queries.
for _name in ("canvasapi", "requests", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

_TIMEOUT = (10, 60)
"""Seconds to connect, and between two bytes of a response."""
_ATTEMPTS = 5
_LONGEST_WAIT_SECONDS = 60.0

_SLOW_BELOW = 200.0
"""Remaining quota of the token below which requests are delayed. The full quota is 600, regained at 10 a second."""
_LEAK_PER_SECOND = 10.0

_UNAUTHORIZED = 401
_FORBIDDEN = 403
_THROTTLED = 429
_SERVER_ERROR = 500
_THROTTLED_TEXT = b"Rate Limit Exceeded"
"""Body of a throttled response, with status 403, until October 2025. Source: ucfopen/canvasapi issue 704."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """The time of a response of Canvas.

    Attributes:
        date: the header `Date`, in whole seconds.
        elapsed: the duration of the request.
    """

    date: datetime
    elapsed: timedelta


@dataclass(frozen=True, kw_only=True)
class ImportOnPage:
    """An import in a response of Canvas, `None` where it cannot be parsed, and the time of the response."""

    answer: SisImportAnswer | None
    page: Page


class CanvasRest:
    """A client for the SIS imports of one root account. It sends one request at a time.

    Its methods raise CredentialsRefused, AccountNotEnabled and TemporaryFailure. Any other error may be temporary.
    """

    def __init__(self, url: str, secret_arn: str, root_account_id: str) -> None:
        base_url = url.rstrip("/")
        # canvasapi never has the token: the adapter adds it, to requests to Canvas only.
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
            # Each page is requested when the iteration reaches it.
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
    """The REST API of Canvas, as configured for the stage."""
    return CanvasRest(setting("CANVAS_URL"), setting("CANVAS_SECRET_ARN"), setting("ROOT_ACCOUNT_ID"))


class _Adapter(HTTPAdapter):
    """A transport adapter that adds the token and timeouts, and retries throttled requests."""

    page: Page
    """The time of the last response."""

    def __init__(self, secret_arn: str) -> None:
        super().__init__()
        self._secret_arn = secret_arn
        self._token: str | None = None
        self._left = _SLOW_BELOW

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        """Send `request`, with retries.

        Raises:
            CredentialsRefused: Canvas rejects the token, even after the secret was read again.
            TemporaryFailure: the retries are exhausted, or Canvas demands a longer wait than one minute.
        """
        _sleep(max(0.0, _SLOW_BELOW - self._left) / _LEAK_PER_SECOND)
        attempt = 0
        while True:
            attempt += 1
            wait = 2.0**attempt
            try:
                response = self._send_with_token(request, options | {"timeout": _TIMEOUT})
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

    def _send_with_token(self, request: requests.PreparedRequest, options: dict[str, Any]) -> requests.Response:
        """Send `request` with the token; where Canvas rejects it, read the secret again and repeat once."""
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
        for timestamp in times.values():
            if timestamp is not None:
                parse_timestamp(timestamp)
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
            "The response of Canvas has no Date header, so imports cannot be ordered. Look for a proxy that removes it."
        ) from None


# Replaced in tests.
_sleep = time.sleep
