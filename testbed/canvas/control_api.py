"""Control API of the test double, under /control: changes the school and reports its rows."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from aiohttp import web

from functions.canvas.fields import format_timestamp
from testbed.canvas.building import use_school
from testbed.canvas.faults import FAULT_KINDS, Fault, Faults
from testbed.canvas.lake import REFRESH, Lake
from testbed.canvas.school import School


class ControlApi:
    """Routes of the control API. It needs no credentials: the server listens on 127.0.0.1 only."""

    def __init__(self, school: School, lake: Lake, faults: Faults) -> None:
        self._school = school
        self._lake = lake
        self._faults = faults
        self._random = Random(7)

    def routes(self) -> list[web.RouteDef]:
        """All routes, for the application."""
        return [
            web.get("/control/summary", self._summary),
            web.get("/control/course", self._course),
            web.post("/control/delete-course", self._delete_course),
            web.post("/control/advance", self._advance),
            web.post("/control/events", self._events),
            web.post("/control/faults", self._switch_on),
            web.delete("/control/faults", self._clear),
        ]

    async def _summary(self, _: web.Request) -> web.Response:
        school = self._school
        summary = {
            "root_account_id": school.root_account_id,
            "now": format_timestamp(school.now),
            "at": format_timestamp(self._lake.at("enrollments")),
            "enrollments": Counter(enrollment.workflow_state for enrollment in school.enrollments.rows()),
            "states": Counter(str(state.state) for state in school.enrollment_states.rows()),
            "imports": Counter(sis_import.workflow_state for sis_import in school.sis_imports.rows()),
            "courses": len(school.courses.history),
            "events": len(school.announcements),
            "newest_event": max((a.event["metadata"]["event_time"] for a in school.announcements), default=None),
        }
        return web.json_response(summary)

    async def _course(self, request: web.Request) -> web.Response:
        """Roster of a course; by default, of the course with the most active enrollments."""
        school = self._school
        if "course_id" in request.query:
            course_id = school.row_id(request.query["course_id"])
        else:
            states = (state for state in school.enrollment_states.rows() if state.state == "active")
            active = Counter(school.enrollments[state.enrollment_id].course_id for state in states)
            course_id = active.most_common(1)[0][0]
        if course_id not in school.courses:
            return web.json_response({"error": "There is no such course."}, status=404)
        roster = [self._member(enrollment.id) for enrollment in school.enrollments_of(course_id)]
        course = school.courses[course_id]
        answer = {
            "course_id": school.global_id(course_id),
            "name": course.name,
            "workflow_state": course.workflow_state,
        }
        return web.json_response(answer | {"roster": roster})

    def _member(self, enrollment_id: int) -> dict[str, Any]:
        school = self._school
        enrollment, state = school.enrollments[enrollment_id], school.enrollment_states[enrollment_id]
        return {
            "enrollment_id": school.global_id(enrollment_id),
            "user_id": school.global_id(enrollment.user_id),
            "user_name": school.users[enrollment.user_id].name,
            "type": enrollment.type,
            "workflow_state": enrollment.workflow_state,
            "state": state.state,
        }

    async def _delete_course(self, request: web.Request) -> web.Response:
        course_id = self._school.row_id((await request.json())["course_id"])
        if course_id not in self._school.courses:
            return web.json_response({"error": "There is no such course."}, status=404)
        changed = [e for e in self._school.enrollments_of(course_id) if e.workflow_state != "deleted"]
        self._school.delete_course(course_id)
        return web.json_response({"deleted": len(changed)})

    async def _advance(self, request: web.Request) -> web.Response:
        """Use the school until then, and load Canvas Data 2 every 4 hours and in the end."""
        hours: float = (await request.json())["hours"]
        until = max(self._school.now, min(datetime.now(UTC), self._school.now + timedelta(hours=hours)))
        while self._school.now + REFRESH < until:
            self._use_and_load(self._school.now + REFRESH)
        self._use_and_load(until)
        answer = {"now": format_timestamp(self._school.now), "at": format_timestamp(self._lake.at("enrollments"))}
        return web.json_response(answer)

    def _use_and_load(self, until: datetime) -> None:
        use_school(self._school, self._random, since=self._school.now, until=until)
        self._school.now = max(self._school.now, until)
        self._lake.load()

    async def _events(self, request: web.Request) -> web.Response:
        limit = (await request.json()).get("limit") if request.can_read_body else None
        return web.json_response({"events": self._school.take_events(limit)})

    async def _switch_on(self, request: web.Request) -> web.Response:
        fault = await request.json()
        if fault.get("kind") not in FAULT_KINDS:
            return web.json_response({"error": f"kind is one of: {', '.join(sorted(FAULT_KINDS))}"}, status=400)
        self._faults.switch_on(Fault(**fault))
        return web.json_response({})

    async def _clear(self, _: web.Request) -> web.Response:
        self._faults.clear()
        return web.json_response({})
