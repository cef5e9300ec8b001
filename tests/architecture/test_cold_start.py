"""Cold start of the functions: modules that they must not import, and connections that they reuse."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest

from functions.routes import ROUTES
from testbed.events import ROOT, event_batch, example
from testbed.scripted_server import OK, error, scripted_server

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
    """Names of all modules that a new interpreter has loaded after the import of `handler`."""
    module = handler.rsplit(".", 1)[0]
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    return json.loads(subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True).stdout)


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_function_loads_no_module_that_no_event_needs(handler):
    assert [name for name in loaded_by(handler) if name.startswith(FORBIDDEN)] == []


def test_the_relay_starts_without_what_only_the_event_functions_need():
    assert {"pydantic", "pydynox"}.isdisjoint(loaded_by(RELAY))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.event_name)
def test_an_event_function_starts_without_the_sqs_client(route):
    assert {"botocore.client", "botocore.session"}.isdisjoint(loaded_by(route.handler))


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_function_loads_no_other_function(handler):
    loaded = {name for name in loaded_by(handler) if name.startswith("functions.handlers.")}
    assert loaded == {handler.removesuffix(".handler")}


def test_the_invocations_of_an_environment_share_connections():
    # GIVEN an interpreter as in Lambda, and a DynamoDB that fails the second of four invocations
    batch = event_batch(example("enrollment_created"), event_name="enrollment_created")
    program = f"""if True:
        import json, os
        from functions.handlers.enrollment_created import handler

        print(json.dumps([handler({batch!r}, None) for _ in range(4)]), flush=True)
        os._exit(0)  # as in Lambda, the interpreter never ends: threads of the client may panic then
    """
    with scripted_server() as dynamodb:
        dynamodb.answers = [OK, error("AccessDeniedException"), OK]
        lambda_environment = {"LAMBDA_TASK_ROOT": str(ROOT), "AWS_ENDPOINT_URL_DYNAMODB": dynamodb.endpoint}

        # WHEN the function is invoked
        ran = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | lambda_environment,
            check=True,
            capture_output=True,
            text=True,
        )

    # THEN only the second message is retried, and connections are reused
    assert ran.stderr == ""
    failures = [response["batchItemFailures"] for response in json.loads(ran.stdout.splitlines()[-1])]
    assert failures == [[], [{"itemIdentifier": "message-0"}], [], []]
    assert len(dynamodb.requests) == 4
    assert dynamodb.connections < 4
