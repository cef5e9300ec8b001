"""Records as tables for the operator, each with the equivalent command of the AWS command line."""

import dataclasses
import json
import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from canvas_live_state import SisImport
from functions.canvas.fields import format_timestamp
from functions.routes import TableName
from infra.indexes import ROSTER_ATTRIBUTES
from ops.stage import Stage


def enrollment(stage: Stage, enrollment_id: str) -> RenderableType:
    """All attributes of one enrollment."""
    record = stage.reader.enrollment(enrollment_id)
    title = f"Enrollment {enrollment_id}"
    shown: RenderableType = _nothing(title)
    if record is not None:
        shown = _table(title, ("attribute", "value"))
        for name, value in dataclasses.asdict(record).items():
            if value is not None:
                shown.add_row(name, _text(value))
    key = json.dumps({"enrollment_id": {"S": enrollment_id}})
    return Group(shown, _aws(stage, "get-item", "--table-name", stage.table("enrollments"), "--key", key))


def course(stage: Stage, course_id: str) -> RenderableType:
    """The roster of a course."""
    entries = stage.reader.roster(course_id, include_deleted=True)
    return Group(
        _rows(f"Course {course_id}: roster by index", ("enrollment_id", "user_id", *ROSTER_ATTRIBUTES), entries),
        _aws_query(stage, "enrollments", "course_id", course_id, "--index-name", "by_course"),
    )


def user(stage: Stage, user_id: str) -> RenderableType:
    """The enrollments of a user."""
    entries = stage.reader.enrollments_of(user_id, include_deleted=True)
    return Group(
        _rows(f"User {user_id}: enrollments by index", ("enrollment_id", "course_id", *ROSTER_ATTRIBUTES), entries),
        _aws_query(stage, "enrollments", "user_id", user_id, "--index-name", "by_user"),
    )


def imports(stage: Stage, account_id: str) -> RenderableType:
    """The SIS imports of an account with their timelines, newest first."""
    return Group(
        imports_table(f"Account {account_id}: SIS imports", stage.reader.sis_imports(account_id)),
        _aws_query(stage, "sis_batches", "account_id", account_id, "--no-scan-index-forward"),
    )


def imports_table(title: str, records: Iterable[SisImport]) -> RenderableType:
    """SIS imports with their timelines."""
    return _rows(title, ("account_id", "sis_batch_id", "workflow_state", "timeline"), records)


def _rows(title: str, columns: Sequence[str], records: Iterable[object]) -> RenderableType:
    table = _table(title, columns)
    table.show_lines = "timeline" in columns
    for record in records:
        table.add_row(*(_text(getattr(record, column)) for column in columns))
    return table if table.row_count else _nothing(title)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return format_timestamp(value)
    if isinstance(value, dict):
        return "\n".join(f"{_text(at)}  {name}" for name, at in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _nothing(title: str) -> Text:
    return Text(f"{title}: nothing stored")


def _aws_query(stage: Stage, table: TableName, key: str, value: str, *options: str) -> Text:
    return _aws(
        stage,
        "query",
        *("--table-name", stage.table(table)),
        *options,
        *("--key-condition-expression", f"{key} = :id"),
        *("--expression-attribute-values", json.dumps({":id": {"S": value}})),
    )


def _aws(stage: Stage, *arguments: str) -> Text:
    command = f"aws dynamodb {shlex.join(arguments)} {stage.aws_options}".rstrip()
    # Not wrapped, since a pasted line break would end the command.
    return Text(f"{command}\n", style="dim", overflow="ignore", no_wrap=True)
