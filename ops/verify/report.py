"""Checks and their results."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from textwrap import indent

from botocore.exceptions import BotoCoreError, ClientError
from rich.table import Table
from rich.text import Text

from ops.aws_errors import explain


class Result(StrEnum):
    """The result of a check. Only `FAILED` makes the command fail."""

    OK = "OK"
    WARNING = "WARNING"
    FAILED = "FAILED"


_STYLES = {Result.OK: "green", Result.WARNING: "yellow", Result.FAILED: "bold red"}


@dataclass(frozen=True)
class Check:
    """A check: its name, its result, what was found, and where it is not OK, what to do."""

    name: str
    result: Result
    found: str
    cure: str = ""


def ok(name: str, found: str) -> Check:
    """A check that passed."""
    return Check(name, Result.OK, found)


def warning(name: str, found: str, cure: str) -> Check:
    """A check that passed with a warning."""
    return Check(name, Result.WARNING, found, cure)


def failed(name: str, found: str, cure: str) -> Check:
    """A check that failed."""
    return Check(name, Result.FAILED, found, cure)


def guarded(name: str, checks: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Yield the checks of `checks`; where an AWS request fails, yield a failed check `name` instead of the error."""
    try:
        yield from checks()
    except (BotoCoreError, ClientError) as error:
        yield failed(name, "not checked", explain(error))


def checks_table(checks: Iterable[Check], *, title: str) -> Table:
    """The checks as a table."""
    table = Table("check", "result", title=title, title_justify="left")
    table.add_column("found", overflow="fold")
    for check in checks:
        style = _STYLES[check.result]
        table.add_row(check.name, f"[{style}]{check.result}[/{style}]", Text(check.found))
    return table


def what_to_do(checks: Iterable[Check]) -> str:
    """What to do about the checks that are not OK. Not in the table, which would wrap the commands."""
    advice = [f"{check.result}: {check.name}\n{indent(check.cure, '    ')}" for check in checks if check.cure]
    return "\n".join(advice) or "Every check passed."
