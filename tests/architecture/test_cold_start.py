"""What a function must not load when it starts, and how it runs from then on."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest

from functions.routes import ROUTES
from tests.canvas import ROOT, event_batch, example
from tests.scripted import OK, error, scripted_server

RELAY = "functions.handlers.relay.handler"
HANDLERS = [*(route.handler for route in ROUTES), RELAY, "functions.handlers.import_monitor.handler"]
FORBIDDEN = (
    "aws_xray_sdk",
    "boto3",
    "s3transfer",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.parser.envelopes",
    "aws_lambda_powertools.utilities.idempotency",
)


@cache
def loaded_by(handler):
    """The names of all modules that a fresh interpreter has loaded once it has imported `handler`."""
    module = handler.rsplit(".", 1)[0]
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    return json.loads(subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True).stdout)


@pytest.mark.parametrize("handler", HANDLERS)
def test_nothing_is_loaded_that_costs_a_start_and_serves_no_event(handler):
    assert [name for name in loaded_by(handler) if name.startswith(FORBIDDEN)] == []


def test_the_relay_starts_without_what_only_the_event_functions_need():
    assert {"pydantic", "pydynox"}.isdisjoint(loaded_by(RELAY))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.event_name)
def test_an_event_function_starts_without_the_client_that_dead_letters(route):
    assert {"botocore.client", "botocore.session"}.isdisjoint(loaded_by(route.handler))


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_function_loads_no_other_function(handler):
    loaded = {name for name in loaded_by(handler) if name.startswith("functions.handlers.")}
    assert loaded == {handler.removesuffix(".handler")}


def test_the_invocations_of_an_environment_share_one_loop_and_its_connections():
    # GIVEN an interpreter as Lambda starts it, and a DynamoDB that fails at the second of four invocations
    batch = event_batch(example("enrollment_created"), event_name="enrollment_created")
    program = f"""if True:
        import asyncio, json, os
        from functions.handlers.enrollment_created import handler
        from functions.projection.table import Table

        loops = []
        apply = Table.apply

        def apply_and_note_loop(*arguments):
            loops.append(asyncio.get_running_loop())
            return apply(*arguments)

        Table.apply = apply_and_note_loop
        responses = [handler({batch!r}, None) for _ in range(4)]
        print(json.dumps([len(set(loops)), loops[0].is_closed(), responses]), flush=True)
        os._exit(0)  # no environment of Lambda meets the interpreter's end, at which threads of the client may panic
    """
    with scripted_server() as dynamodb:
        dynamodb.answers = [OK, error("AccessDeniedException"), OK]
        lambda_environment = {"LAMBDA_TASK_ROOT": str(ROOT), "AWS_ENDPOINT_URL_DYNAMODB": dynamodb.endpoint}

        # WHEN it runs
        ran = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | lambda_environment,
            check=True,
            capture_output=True,
            text=True,
        )

    # THEN only the second is retried, all ran in one loop, which stays open, and connections are used again
    assert ran.stderr == ""
    assert json.loads(ran.stdout.splitlines()[-1]) == [
        1,
        False,
        [
            {"batchItemFailures": []},
            {"batchItemFailures": [{"itemIdentifier": "message-0"}]},
            {"batchItemFailures": []},
            {"batchItemFailures": []},
        ],
    ]
    assert len(dynamodb.requests) == 4
    assert dynamodb.connections < 4
