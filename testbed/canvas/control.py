"""Client of the control API of the test double. Standard library only."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict
from urllib.request import Request, urlopen

from testbed.canvas.faults import FaultKind

_TIMEOUT_SECONDS = 60


class Member(TypedDict):
    """One enrollment in a roster, with global ids."""

    enrollment_id: str
    user_id: str
    user_name: str
    type: str
    workflow_state: str
    state: str | None


class CourseRoster(TypedDict):
    """A course in Canvas, deleted enrollments included."""

    course_id: str
    name: str
    workflow_state: str
    roster: list[Member]


class LakeTimes(TypedDict):
    """Simulated time, and `at` of the table `enrollments` of Canvas Data 2, both in the stored form."""

    now: str
    at: str


class Summary(LakeTimes):
    """Counts of rows by state, and of events."""

    root_account_id: str
    enrollments: dict[str, int]
    states: dict[str, int]
    imports: dict[str, int]
    courses: int
    events: int
    newest_event: str | None


@dataclass(frozen=True)
class Control:
    """Client of a test double that runs as a process, by its base URL.

    Every method raises `urllib.error.URLError` where the request fails.
    """

    url: str

    @classmethod
    def of(cls, state_file: Path) -> "Control":
        """Connect to the test double that wrote `state_file`."""
        return cls(json.loads(state_file.read_text())["url"])

    def summary(self) -> Summary:
        """Count rows and events."""
        summary: Summary = self._call("GET", "summary")
        return summary

    def course(self, course_id: str | None = None) -> CourseRoster:
        """Roster of a course in Canvas; by default, of the course with the most active enrollments."""
        roster: CourseRoster = self._call("GET", f"course?course_id={course_id}" if course_id else "course")
        return roster

    def delete_course(self, course_id: str) -> int:
        """Delete a course, which sends no events, and return the number of enrollments that this deleted."""
        deleted: int = self._call("POST", "delete-course", {"course_id": course_id})["deleted"]
        return deleted

    def advance(self, hours: float) -> LakeTimes:
        """Advance the clock, at most to the real time, with users active, and load Canvas Data 2."""
        times: LakeTimes = self._call("POST", "advance", {"hours": hours})
        return times

    def take_events(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Take new events, oldest first. Each is returned once."""
        events: list[dict[str, Any]] = self._call("POST", "events", {"limit": limit})["events"]
        return events

    def switch_on(self, kind: FaultKind, *, times: int | None = 1, where: str = "") -> None:
        """Make the next `times` requests whose `METHOD /path?query` contains `where` fail; `None`: until cleared."""
        self._call("POST", "faults", {"kind": kind, "times": times, "where": where})

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self._call("DELETE", "faults")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/control/{path}", data, {"Content-Type": "application/json"}, method=method)
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            return json.load(response)
