"""The JSON Schemas for readers in other languages match the items that the functions write."""

import json
import random
import runpy

import pytest
from jsonschema import Draft202012Validator

from testbed.events import EVENT_NAMES, ROOT, example
from testbed.ordering.histories import random_history, spell
from testbed.tables import Tables

FOLDER = ROOT / "docs" / "schemas"
FILES = {"enrollments": "enrollment.schema.json", "sis_batches": "sis_batch.schema.json"}
SCHEMAS = {table: json.loads((FOLDER / name).read_text()) for table, name in FILES.items()}

FULL = {
    "enrollment_updated": {
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "course_uuid": "course",
        "user_uuid": "user",
        "associated_user_id": "21070000000000562",
    },
    "enrollment_state_updated": {
        "enrollment_id": "21070000000046825",
        "state_started_at": "2026-01-01T00:00:00Z",
        "state_valid_until": "2026-01-01T00:00:00Z",
    },
    "sis_batch_created": {},
}


@pytest.fixture
def tables(aws, prod):
    return Tables(prod.data)


def invalid(table, item):
    """Validation errors of `item` by the schema of `table`."""
    # boto3 returns numbers as Decimal, which JSON Schema does not support.
    plain = json.loads(json.dumps(item, default=int))
    return [error.message for error in Draft202012Validator(SCHEMAS[table]).iter_errors(plain)]


def test_the_committed_schemas_are_those_that_the_generator_writes():
    generated = runpy.run_path(str(FOLDER / "generate.py"))["schemas"]()
    assert generated == {path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
    for schema in generated.values():
        Draft202012Validator.check_schema(schema)


def test_the_documented_examples_become_valid_items(tables, deliver):
    for event_name in EVENT_NAMES:
        deliver(example(event_name))
    for table in SCHEMAS:
        assert [invalid(table, item) for item in tables.items(table)] == [[]] * (3 if table == "enrollments" else 2)


@pytest.mark.parametrize("seed", range(5))
def test_random_histories_become_valid_items(tables, deliver, seed):
    # GIVEN events of both families, in any order and notation, with unknown states
    rng = random.Random(seed)
    for fact in random_history(rng, 60, subjects=3):
        deliver(spell(fact, rng), to=fact.event_name)

    # THEN every item is valid
    found = {table: tables.items(table) for table in SCHEMAS}
    assert all(found.values())
    assert [message for table, items in found.items() for item in items for message in invalid(table, item)] == []


def test_every_attribute_of_a_schema_occurs_and_has_one_type(tables, deliver):
    # GIVEN events with all fields
    for event_name, body in FULL.items():
        deliver(example(event_name, body=body))

    for table, schema in SCHEMAS.items():
        items = tables.items(table)
        assert schema["properties"].keys() <= {name for item in items for name in item}

        # THEN a value of another type is invalid in every attribute, and so is an unknown attribute
        for item in items:
            assert invalid(table, item) == []
            assert invalid(table, item | {"made_up": "value"})
            for name, value in item.items():
                assert invalid(table, item | {name: not value if isinstance(value, str) else "text"}), name


def test_a_half_of_an_enrollment_is_valid_and_none_is_not(tables, deliver):
    deliver(example("enrollment_state_created"))
    item = tables.item("enrollments")
    assert invalid("enrollments", item) == []
    assert invalid("enrollments", {"enrollment_id": item["enrollment_id"]})


def test_the_timeline_is_open_and_of_times(tables, deliver):
    deliver(example("sis_batch_updated", body={"workflow_state": "invented_later"}))
    item = tables.item("sis_batches")
    assert "invented_later_at" in item
    assert invalid("sis_batches", item) == []
    assert invalid("sis_batches", item | {"invented_later_at": "yesterday"})
