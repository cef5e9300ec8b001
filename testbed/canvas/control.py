"""Client of the double's control API. Standard library only."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict
from urllib.request import Request, urlopen

from testbed.canvas.faults import FaultKind

_TIMEOUT_SECONDS = 60


class Member(TypedDict):
    """One line of a roster, with global ids."""

    enrollment_id: str
    user_id: str
    user_name: str
    type: str
    workflow_state: str
    state: str | None


class CourseRoster(TypedDict):
    """A course as Canvas has it now, deleted enrollments included."""

    course_id: str
    name: str
    workflow_state: str
    roster: list[Member]


class LakeTimes(TypedDict):
    """The school's time and the time that Canvas Data 2 says of its enrollments, in the stored form of timestamps."""

    now: str
    at: str


class Summary(LakeTimes):
    """Counts of rows by state, and of the events announced so far."""

    root_account_id: str
    enrollments: dict[str, int]
    states: dict[str, int]
    imports: dict[str, int]
    courses: int
    events: int
    newest_event: str | None


@dataclass(frozen=True)
class Control:
    """A double of Canvas that runs as a process, by its base URL.

    Every method raises `urllib.error.URLError` where the double does not answer or refuses.
    """

    url: str

    @classmethod
    def of(cls, state_file: Path) -> "Control":
        """The double that wrote `state_file`."""
        return cls(json.loads(state_file.read_text())["url"])

    def summary(self) -> Summary:
        """What the school has."""
        summary: Summary = self._call("GET", "summary")
        return summary

    def course(self, course_id: str | None = None) -> CourseRoster:
        """The true roster of a course; of the one with the most active enrollments where none is named."""
        roster: CourseRoster = self._call("GET", f"course?course_id={course_id}" if course_id else "course")
        return roster

    def delete_course(self, course_id: str) -> int:
        """Delete a course, which Canvas does not announce; returns the number of its enrollments that were deleted."""
        deleted: int = self._call("POST", "delete-course", {"course_id": course_id})["deleted"]
        return deleted

    def advance(self, hours: float) -> LakeTimes:
        """Use the school for some hours, not beyond the real time, and load everything into Canvas Data 2."""
        times: LakeTimes = self._call("POST", "advance", {"hours": hours})
        return times

    def take_events(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Announced events, oldest first, each given out once."""
        events: list[dict[str, Any]] = self._call("POST", "events", {"limit": limit})["events"]
        return events

    def switch_on(self, kind: FaultKind, *, times: int | None = 1, where: str = "") -> None:
        """Let the next `times` requests whose `METHOD /path?query` contains `where` fail; `None`: until cleared."""
        self._call("POST", "faults", {"kind": kind, "times": times, "where": where})

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self._call("DELETE", "faults")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/control/{path}", data, {"Content-Type": "application/json"}, method=method)  # noqa: S310
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - the URL is the double's
            return json.load(response)
