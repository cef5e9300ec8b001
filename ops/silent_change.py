"""The demo's third act: the tables are compared with Canvas, and a change that nobody announced is corrected."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.rule import Rule

from ops import tables
from ops.failure import OperatorError
from ops.local.canvas import LOG, DoubleOfCanvas
from ops.run_screen import follow_corrections, report_table, run_to_its_end
from ops.stage import Stage
from ops.waiting import wait_for

if TYPE_CHECKING:
    from testbed.canvas.control import CourseRoster

_HOURS_OF_USE = 12
"""After the deletion: longer than the margin by which a run distrusts the lake."""
_PATIENCE_SECONDS = 60


def run(stage: Stage, canvas: DoubleOfCanvas, console: Console) -> None:
    """Fill the tables with the school, delete a course without an event, and let a run correct the roster.

    Raises:
        OperatorError: a run failed, or the roster is not that of Canvas in the end.
    """
    # Only what `make setup` installs has what the double needs.
    from testbed.canvas.control import Control  # noqa: PLC0415

    school = Control(canvas.url)
    console.print("\n", Rule("What Canvas never announces"), "\n")
    console.print("[bold]The first day: ops backfill[/bold] asks Canvas for every enrollment")
    filled = run_to_its_end(stage, "backfill", console)
    follow_corrections(stage, filled, console)
    console.print(report_table(filled))
    course = school.course()
    console.print(f"\nThe roster of {course['name']}, as Canvas has it: {len(_active(course))} active enrollments")

    deleted = school.delete_course(course["course_id"])
    school.advance(_HOURS_OF_USE)
    console.print(f"\n[bold]An administrator deletes the course.[/bold] {deleted} enrollments with it, and no event:")
    console.print(tables.course(stage, course["course_id"]), crop=False)

    console.print("\n[bold]ops reconcile --dry-run[/bold] finds the difference")
    console.print(report_table(run_to_its_end(stage, "dry-run", console)))
    console.print("\n[bold]ops reconcile[/bold] corrects it, by ordinary events")
    corrected = run_to_its_end(stage, "reconcile", console)
    follow_corrections(stage, corrected, console)
    console.print(report_table(corrected))
    _check(stage, school.course(course["course_id"]))
    console.print(tables.course(stage, course["course_id"]), crop=False)


def _active(course: "CourseRoster") -> set[str]:
    return {member["enrollment_id"] for member in course["roster"] if member["workflow_state"] == "active"}


def _check(stage: Stage, course: "CourseRoster") -> None:
    """Compare our roster with that of Canvas."""
    told = {member["enrollment_id"]: member["workflow_state"] for member in course["roster"]}

    def is_right() -> bool:
        roster = stage.reader.roster(course["course_id"], include_deleted=True)
        return {entry.enrollment_id: entry.workflow_state for entry in roster} == told

    if not wait_for(is_right, seconds=_PATIENCE_SECONDS):
        raise OperatorError(f"The roster should be that of Canvas, but it is not. Read {LOG}")
