"""The kinds of value that Canvas sends, and what each must be to be stored: ids and timestamps."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from functions.canvas.ids import id_text

# `2020-01-14T14:14:11.498Z`, `2024-06-28T19:36:16-07:00`, `2019-10-05 05:38:00 -0800` and `… UTC` all occur.
_TIMESTAMP = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[T ](?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?"
    r" ?(?P<offset>Z|UTC|[+-][0-9]{2}:?[0-9]{2})?"
)


def parse_id(value: object) -> str:
    """`value` as the text that identifies one thing in Canvas.

    Raises:
        PydanticCustomError: not a positive whole number, written as a string or as an integer.
    """
    if (text := id_text(value)) is None:
        raise PydanticCustomError("canvas_id", "is not a Canvas id (a positive number of at most 19 digits)")
    return text


def parse_timestamp(value: object) -> str:
    """`value` in the stored form, whatever offset and format Canvas used.

    Raises:
        PydanticCustomError: not a timestamp, or one without an offset: it names no instant.
    """
    written = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    if written is None:
        raise PydanticCustomError("timestamp", "is not a timestamp (ISO 8601 date, time and offset)")
    date, time, fraction, offset = written.groups()
    if offset is None:
        raise PydanticCustomError("timestamp_naive", "has no offset, so it names no instant")
    local = f"{date}T{time}.{(fraction or '')[:6]:0<6}"
    try:
        if offset in ("Z", "UTC"):
            datetime.fromisoformat(local)
            return f"{local}Z"
        return format_timestamp(datetime.fromisoformat(local + offset))
    except (ValueError, OverflowError):
        raise PydanticCustomError("timestamp", "is not a timestamp (no such date, time or offset)") from None


def format_timestamp(instant: datetime) -> str:
    """The one form that is stored: UTC, microseconds, fixed width, so that text sorts as time does."""
    return f"{instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


CanvasId = Annotated[str, PlainValidator(parse_id)]
Timestamp = Annotated[str, PlainValidator(parse_timestamp)]
