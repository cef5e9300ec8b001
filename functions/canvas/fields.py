"""Field types of Canvas events: ids and timestamps, converted to the form in which they are stored."""

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
    """Convert a Canvas id, a string or an integer, to text.

    Raises:
        PydanticCustomError: not a positive whole number of at most 19 digits.
    """
    if (text := id_text(value)) is None:
        raise PydanticCustomError("canvas_id", "is not a Canvas id (a positive number of at most 19 digits)")
    return text


def parse_timestamp(value: object) -> str:
    """Convert a timestamp, in any format that Canvas uses, to the stored form.

    Raises:
        PydanticCustomError: not a timestamp, or one without a UTC offset.
    """
    written = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    if written is None:
        raise PydanticCustomError("timestamp", "is not a timestamp (ISO 8601 date, time and offset)")
    date, time, fraction, offset = written.groups()
    if offset is None:
        raise PydanticCustomError("timestamp_naive", "has no UTC offset, so the time is ambiguous")
    local = f"{date}T{time}.{(fraction or '')[:6]:0<6}"
    try:
        if offset in ("Z", "UTC"):
            datetime.fromisoformat(local)
            return f"{local}Z"
        return format_timestamp(datetime.fromisoformat(local + offset))
    except (ValueError, OverflowError):
        raise PydanticCustomError("timestamp", "is not a timestamp (no such date, time or offset)") from None


def format_timestamp(instant: datetime) -> str:
    """Format a time in the stored form: UTC, microseconds, fixed width, so that text sorts by time."""
    return f"{instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


CanvasId = Annotated[str, PlainValidator(parse_id)]
Timestamp = Annotated[str, PlainValidator(parse_timestamp)]
