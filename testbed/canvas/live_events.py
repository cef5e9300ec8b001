"""Builds live events as Canvas does: the metadata of a request or a job, and a body from the committed rows.

Source: the seed documents of the six events, and canvas-lms, `lib/canvas/live_events.rb` (`get_enrollment_data`,
`get_enrollment_state_data`, `sis_batch_created`) and `LiveEvents::EventSerializerProvider`.
"""

from datetime import UTC, datetime
from typing import Any

from functions.canvas.ids import global_id
from testbed.canvas.rows import Course, Enrollment, EnrollmentState, SisImport, User

Event = dict[str, Any]

_HOST = "canvas.example.edu"


def metadata(event_name: str, event_time: datetime, *, root_account_id: str, number: int, job_tag: str | None) -> Event:
    """Metadata of an event from the job `job_tag`, or from a request where that is `None`.

    As in Canvas, those of a request include a login, an address and a token in the URL. `event_time` has milliseconds.
    `number` makes the ids of requests and jobs unique.
    """
    always = {
        "event_name": event_name,
        "event_time": event_time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "producer": "canvas",
        "root_account_id": root_account_id,
        "root_account_lti_guid": f"doubleofcanvas.{_HOST}",
        "root_account_uuid": "doubleofcanvas",
    }
    if job_tag is not None:
        return always | {"job_id": str(1020020500000000 + number), "job_tag": job_tag}
    return always | {
        "client_ip": "192.0.2.34",
        "context_account_id": root_account_id,
        "context_id": root_account_id,
        "context_sis_source_id": None,
        "context_type": "Account",
        "developer_key_id": "170000000056",
        "hostname": _HOST,
        "http_method": "POST",
        "referrer": None,
        "request_id": f"1dd9dc6f-2fb0-4c19-a6c5-{number:012x}",
        "session_id": f"ef686f8ed684abf78cbf{number:012x}",
        "time_zone": "America/New_York",
        "url": f"https://{_HOST}/api/v1/sections/1/enrollments?access_token=2107~not-a-token",
        "user_account_id": root_account_id,
        "user_agent": "Mozilla/5.0",
        "user_id": root_account_id,
        "user_login": "registrar@example.edu",
        "user_sis_id": None,
    }


def enrollment_body(enrollment: Enrollment, user: User, course: Course | None, *, shard: int) -> Event:
    """Body of `enrollment_created` and `enrollment_updated`. Ids are global, times in whole seconds.

    `course` is `None` for older Canvas, which sends no UUIDs.
    """

    def in_all_shards(canvas_id: int | None) -> str | None:
        return None if canvas_id is None else global_id(str(canvas_id), shard=shard)

    body = {
        "course_id": in_all_shards(enrollment.course_id),
        "course_section_id": in_all_shards(enrollment.course_section_id),
        "created_at": seconds(enrollment.created_at),
        "enrollment_id": in_all_shards(enrollment.id),
        "limit_privileges_to_course_section": enrollment.limit_privileges_to_course_section,
        "type": enrollment.type,
        "updated_at": seconds(enrollment.updated_at),
        "user_id": in_all_shards(enrollment.user_id),
        "user_name": user.name,
        "workflow_state": enrollment.workflow_state,
    }
    if enrollment.type == "ObserverEnrollment":
        body["associated_user_id"] = in_all_shards(enrollment.associated_user_id)
    if course is not None:
        body |= {"course_uuid": course.uuid, "user_uuid": user.uuid}
    return body


def enrollment_state_body(state: EnrollmentState, *, shard: int) -> Event:
    """Body of `enrollment_state_created` and `enrollment_state_updated`. Its two times differ in format."""
    started = state.state_started_at
    return {
        "access_is_current": state.access_is_current,
        "enrollment_id": global_id(str(state.enrollment_id), shard=shard),
        "restricted_access": state.restricted_access,
        "state": state.state,
        "state_is_current": state.state_is_current,
        "state_started_at": started and started.strftime("%Y-%m-%d %H:%M:%S UTC"),
        "state_valid_until": seconds(state.state_valid_until),
    }


def sis_batch_body(sis_import: SisImport, account_id: int) -> Event:
    """Body of `sis_batch_created` and `sis_batch_updated`. Ids are local to the shard."""
    return {
        "account_id": str(account_id),
        "sis_batch_id": str(sis_import.id),
        "workflow_state": sis_import.workflow_state,
    }


def seconds(moment: datetime | None) -> str | None:
    """Format a time as REST and live events do: UTC, whole seconds."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
