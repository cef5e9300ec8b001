"""Writes the JSON Schemas of both tables' items, from the models of Canvas' events. For readers in any language.

Run it after a change of `functions/canvas` or `functions/projection`: .venv/bin/python docs/schemas/generate.py
"""  # noqa: INP001  # a script, not a package

import json
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from functions.canvas.enrollment import WORKFLOW_STATES, EnrollmentBody
from functions.canvas.enrollment_state import STATES, EnrollmentStateBody
from functions.canvas.event import CanvasModel
from functions.canvas.fields import CanvasId, Timestamp
from functions.canvas.sis_batch import LIFE_CYCLE

Schema = dict[str, Any]

_ID: Schema = {"$ref": "#/$defs/id"}
_TIME: Schema = {"$ref": "#/$defs/time"}
_SCHEMA_OF_TYPE = {CanvasId: _ID, Timestamp: _TIME, str: {"type": "string"}, bool: {"type": "boolean"}}

_DEFINITIONS: Schema = {
    "id": {
        "description": "A global Canvas id: shard x 10^13 + local id.",
        "type": "string",
        "pattern": "^[1-9][0-9]{0,18}$",
    },
    "time": {
        "description": "An instant in UTC. The width is fixed, so that text sorts as time does.",
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$",
    },
    "version": {
        "description": "Orders the events of a family: a greater text is newer. Opaque otherwise.",
        "type": "string",
    },
}


def schemas() -> dict[str, Schema]:
    """The schema of an item of each table, by the name of its file."""
    return {"enrollment.schema.json": _enrollment(), "sis_batch.schema.json": _sis_batch()}


def _enrollment() -> Schema:
    enrollment, state = _family(EnrollmentBody, "enrollment"), _family(EnrollmentStateBody, "state")
    enrollment["workflow_state"] = _open_set(WORKFLOW_STATES)
    state["state"] = _open_set(STATES)
    return {
        **_header("enrollment", "An item of table enrollments. It has either family of attributes, or both."),
        "properties": enrollment | state,
        "required": ["enrollment_id"],
        "anyOf": [{"required": ["enrollment_version"]}, {"required": ["state_version"]}],
        "dependentRequired": {
            "enrollment_version": [*_always_sent(EnrollmentBody), "enrollment_event_time"],
            "state_version": [*_always_sent(EnrollmentStateBody), "state_event_time"],
        },
    }


def _sis_batch() -> Schema:
    return {
        **_header("sis_batch", "An item of table sis_batches: one SIS import."),
        "properties": {
            "account_id": _ID,
            "sis_batch_id": {
                "description": "Local to the shard of the account. A DynamoDB number.",
                "type": "integer",
                "minimum": 0,
                "exclusiveMaximum": 10**13,
            },
            "workflow_state": _open_set(LIFE_CYCLE),
            "event_time": _TIME,
            "unfinished_since": _TIME,
            "version": {"$ref": "#/$defs/version"},
        },
        "patternProperties": {
            "^[a-z][a-z0-9_]{0,63}_at$": {
                **_TIME,
                "description": "<workflow_state>_at: when the import entered that state last.",
            }
        },
        "required": ["account_id", "sis_batch_id", "workflow_state", "event_time", "version"],
    }


def _header(name: str, description: str) -> Schema:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:canvas-live-state:{name}",
        "title": name,
        "description": f"{description} After unmarshalling: plain values, not DynamoDB's typed ones.",
        "type": "object",
        "additionalProperties": False,
        "$defs": _DEFINITIONS,
    }


def _family(body: type[CanvasModel], family: str) -> Schema:
    """The attributes of a record family: its body's fields, the time of its newest event, and its version."""
    fields = {name: _SCHEMA_OF_TYPE[_without_none(hint)] for name, hint in _hints(body).items()}
    return {**fields, f"{family}_event_time": _TIME, f"{family}_version": {"$ref": "#/$defs/version"}}


def _always_sent(body: type[CanvasModel]) -> list[str]:
    return [name for name, field in body.model_fields.items() if field.is_required() and name != "enrollment_id"]


def _hints(body: type[CanvasModel]) -> dict[str, Any]:
    hints = get_type_hints(body, include_extras=True)
    return {name: hints[name] for name in body.model_fields}


def _without_none(hint: Any) -> Any:
    """The type of an attribute that is stored: what is null in Canvas is absent here."""
    if get_origin(hint) is not None and type(None) in get_args(hint):
        (hint,) = (part for part in get_args(hint) if part is not type(None))
    return hint


def _open_set(states: frozenset[str] | tuple[str, ...]) -> Schema:
    known = ", ".join(sorted(states) if isinstance(states, frozenset) else states)
    return {"description": f"An open set: Canvas adds states. Known: {known}.", "type": "string"}


if __name__ == "__main__":
    for file_name, schema in schemas().items():
        text = json.dumps(schema, indent=2) + "\n"
        Path(__file__).with_name(file_name).write_text(text, encoding="utf-8")
