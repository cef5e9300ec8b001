"""Taking the secrets out of a message before anything else sees it."""

import re
from typing import Any

REDACTED = "REDACTED"

_URL_FIELDS = ("url", "referrer")

# `https://user:password@host`
_USER_INFO = re.compile(r"(?<=//)[^/?#\s]*@")
# Everything behind the first question mark or hash, also where the whole is percent-encoded.
_QUERY = re.compile(r"(?<=[?#]).*|(?:%3[Ff]|%23).*", re.DOTALL)
_PARAMETER = re.compile(r"[^&;?#]+")


def redact(metadata: dict[str, Any]) -> dict[str, Any]:
    """`metadata` whose URLs have lost their query values and user information.

    Canvas logs the URL of the request that caused an event, `access_token=…` and all. Every value goes, not only the
    values of names known to be secret: a list of names would always be a name short.
    """
    return metadata | {name: _redact_url(metadata[name]) for name in _URL_FIELDS if metadata.get(name) is not None}


def _redact_url(url: object) -> str:
    if not isinstance(url, str):
        return REDACTED
    return _QUERY.sub(lambda query: _PARAMETER.sub(_redact_parameter, query[0]), _USER_INFO.sub("", url))


def _redact_parameter(parameter: re.Match[str]) -> str:
    name, separator, _value = parameter[0].partition("=")
    if name == "amp":  # of `&amp;`: Canvas' URLs are free text
        return parameter[0]
    return f"{name}={REDACTED}" if separator else REDACTED
