"""Items as readable tables, each with the AWS command line that asks a deployed stage the same."""

import json
import shlex
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from functions.routes import TableName
from ops import reading
from ops.stage import Stage

_ROSTER_COLUMNS = ("type", "workflow_state", "state", "restricted_access", "course_section_id", "user_name")


def enrollment(stage: Stage, enrollment_id: str) -> RenderableType:
    """Everything that is known of one enrollment."""
    item = reading.enrollment(stage, enrollment_id)
    title = f"Enrollment {enrollment_id}"
    shown = _nothing(title) if item is None else _attributes(title, item)
    return Group(shown, _aws_get_item(stage, "enrollments", {"enrollment_id": {"S": enrollment_id}}))


def course(stage: Stage, course_id: str) -> RenderableType:
    """A course's roster."""
    return Group(
        _rows(f"Course {course_id}: roster by index", ("user_id", *_ROSTER_COLUMNS), reading.roster(stage, course_id)),
        _aws_query(stage, "enrollments", "course_id", course_id, "--index-name", "by_course"),
    )


def user(stage: Stage, user_id: str) -> RenderableType:
    """A user's enrollments."""
    items = reading.enrollments_of(stage, user_id)
    return Group(
        _rows(f"User {user_id}: enrollments by index", ("course_id", *_ROSTER_COLUMNS), items),
        _aws_query(stage, "enrollments", "user_id", user_id, "--index-name", "by_user"),
    )


def imports(stage: Stage, account_id: str) -> RenderableType:
    """An account's SIS imports with their timelines, newest first."""
    items = [item | {"timeline": _timeline(item)} for item in reading.sis_imports(stage, account_id)]
    return Group(
        _rows(f"Account {account_id}: SIS imports", ("sis_batch_id", "workflow_state", "timeline"), items),
        _aws_query(stage, "sis_batches", "account_id", account_id, "--no-scan-index-forward"),
    )


def _timeline(item: reading.Item) -> str:
    entered = [(time, name.removesuffix("_at")) for name, time in item.items() if name.endswith("_at")]
    return "\n".join(f"{time}  {state}" for time, state in sorted(entered))


def _attributes(title: str, item: reading.Item) -> Table:
    table = Table("attribute", "value", title=title, title_justify="left")
    for name in sorted(item):
        table.add_row(name, _text(item[name]))
    return table


def _rows(title: str, columns: Sequence[str], items: Iterable[reading.Item]) -> RenderableType:
    table = Table(title=title, title_justify="left", show_lines="timeline" in columns)
    for column in columns:
        table.add_column(column, overflow="fold")
    for item in items:
        table.add_row(*(_text(item.get(column)) for column in columns))
    return table if table.row_count else _nothing(title)


def _text(value: object) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _nothing(title: str) -> Text:
    return Text(f"{title}: no event has arrived")


def _aws_get_item(stage: Stage, table: TableName, key: object) -> Text:
    return _aws("get-item", "--table-name", stage.table(table), "--key", json.dumps(key))


def _aws_query(stage: Stage, table: TableName, key: str, value: str, *options: str) -> Text:
    return _aws(
        "query",
        *("--table-name", stage.table(table)),
        *options,
        *("--key-condition-expression", f"{key} = :id"),
        *("--expression-attribute-values", json.dumps({":id": {"S": value}})),
    )


def _aws(*arguments: str) -> Text:
    return Text(f"aws dynamodb {shlex.join(arguments)}\n", style="dim", overflow="fold")
