"""The third act of the demo: a change without an event is found by reconciliation and corrected."""

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.rule import Rule
from rich.table import Table

from ops.failure import OperatorError
from ops.local.canvas import LOG, DoubleOfCanvas
from ops.run_screen import follow_corrections, report_table, run_to_its_end
from ops.stage import Stage
from ops.waiting import wait_for

if TYPE_CHECKING:
    from testbed.canvas.control import CourseRoster

_HOURS_OF_USE = 12
"""After the deletion: more than `margin_hours`, the time by which rows of Canvas Data 2 may be late."""
_PATIENCE_SECONDS = 60

Roster = dict[str, str | None]
"""The `workflow_state` of each enrollment of a course, by `enrollment_id`."""


def run(stage: Stage, canvas: DoubleOfCanvas, console: Console) -> Table:
    """Backfill the tables, delete a course without an event, reconcile.

    Returns:
        The roster of the course in the table before and after the run, and in Canvas.

    Raises:
        OperatorError: a run failed, or the roster differs from that of Canvas in the end.
    """
    # Only what `make setup` installs has what the double needs.
    from testbed.canvas.control import Control  # noqa: PLC0415

    school = Control(canvas.url)
    console.print("\n", Rule("Changes without an event"), "\n")
    console.print("[bold]ops backfill[/bold] fills the tables with every enrollment of Canvas")
    filled = run_to_its_end(stage, "backfill", console)
    follow_corrections(stage, filled, console)
    console.print(report_table(filled))

    course = school.course()
    deleted = school.delete_course(course["course_id"])
    school.advance(_HOURS_OF_USE)
    deletion = f"An administrator deletes {course['name']}. Canvas sends no event."
    console.print(f"\n[bold]{deletion}[/bold] Enrollments deleted: {deleted}")
    before = _in_table(stage, course["course_id"])

    console.print("\n[bold]ops reconcile --dry-run[/bold] finds the difference")
    console.print(report_table(run_to_its_end(stage, "dry-run", console)))
    console.print("\n[bold]ops reconcile[/bold] publishes corrections, which are ordinary events")
    corrected = run_to_its_end(stage, "reconcile", console)
    follow_corrections(stage, corrected, console)
    console.print(report_table(corrected), "\n")

    expected = _in_canvas(school.course(course["course_id"]))
    if not wait_for(lambda: _in_table(stage, course["course_id"]) == expected, seconds=_PATIENCE_SECONDS):
        raise OperatorError(f"The roster of {course['name']} differs from that of Canvas. Read {LOG}")
    rosters = (before, expected, _in_table(stage, course["course_id"]))
    return _compared(f"{deletion}\nops reconcile publishes {corrected.corrections} corrections.", *rosters)


def _in_table(stage: Stage, course_id: str) -> Roster:
    roster = stage.reader.roster(course_id, include_deleted=True)
    return {entry.enrollment_id: entry.workflow_state for entry in roster}


def _in_canvas(course: "CourseRoster") -> Roster:
    return {member["enrollment_id"]: member["workflow_state"] for member in course["roster"]}


def _compared(title: str, *rosters: Roster) -> Table:
    table = Table("workflow_state", title=title, title_justify="left")
    for name in ("table before the run", "Canvas", "table after the run"):
        table.add_column(name, justify="right")
    counts = [Counter(roster.values()) for roster in rosters]
    for state in sorted({str(state) for count in counts for state in count}):
        table.add_row(state, *(str(count[state]) for count in counts))
    return table
