"""What a function must not load when it starts."""

import json
import subprocess
import sys

import pytest

from functions.routes import ROUTES
from tests.canvas import ROOT

HANDLERS = [
    *(route.handler for route in ROUTES),
    "functions.relay.handler.handler",
    "functions.unfinished_imports.handler",
]
FORBIDDEN = (
    "aws_xray_sdk",
    "boto3",
    "s3transfer",
    "aws_lambda_powertools.utilities.parser.envelopes",
    "aws_lambda_powertools.utilities.idempotency",
)


def loaded_by(handler):
    """The names of all modules that a fresh interpreter has loaded once it has imported `handler`."""
    module = handler.rsplit(".", 1)[0]
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    return json.loads(subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True).stdout)


@pytest.mark.parametrize("handler", HANDLERS)
def test_nothing_is_loaded_that_costs_a_start_and_serves_no_event(handler):
    loaded = loaded_by(handler)
    assert [name for name in loaded if name.startswith(FORBIDDEN)] == []


def test_the_relay_starts_without_pydantic():
    assert "pydantic" not in loaded_by("functions.relay.handler.handler")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.event_name)
def test_a_function_of_an_event_starts_without_the_client_of_the_others(route):
    assert "botocore.session" not in loaded_by(route.handler)


def test_a_function_loads_no_other_function():
    loaded = set(loaded_by("functions.handlers.enrollment_created.handler"))
    assert {name for name in loaded if name.startswith("functions.handlers.")} == {
        "functions.handlers.enrollment_created"
    }
