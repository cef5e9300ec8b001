"""A DynamoDB that fails as the real one does: throttled, 500, 503, connections reset, acknowledgements lost, timeouts.

microburst stands between the functions and DynamoDB Local, and speaks DynamoDB's own errors. Whatever a function
reports as failed is delivered again, as Lambda would, and after Lambda the redrive.
"""

import json
import random
import subprocess
import sys
import urllib.request
from collections import Counter

import botocore.endpoint
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.ordering.engines import Engine, dynamodb_local_engine, free_port, load_handlers, wait_for_port
from tests.ordering.histories import random_history, spell
from tests.ordering.oracle import tables_after, version_of

# Together one request in five fails. A throttled event fails three times in a row: all that the SDK tries.
FAULTS = {
    "error:ProvisionedThroughputExceededException": {
        "sequence": {"fail": 3, "pass": 57},
        "error": {"code": "ProvisionedThroughputExceededException", "status": 400},
    },
    "error:InternalServerError": {
        "sequence": {"fail": 1, "pass": 24},
        "error": {"code": "InternalServerError", "status": 500},
    },
    "error:ServiceUnavailable": {
        "sequence": {"fail": 1, "pass": 24},
        "error": {"code": "ServiceUnavailable", "status": 503},
    },
    "reset": {"sequence": {"fail": 1, "pass": 32}, "reset": True},
    # The write is applied, and its acknowledgement never arrives: cut off, or too slow for the client's patience.
    "response:abort": {"sequence": {"fail": 1, "pass": 32}, "response": {"abort_bytes": 0}},
    "response:0kbps": {"sequence": {"fail": 1, "pass": 99}, "response": {"bandwidth_kbps": 0.001}},
}


class Microburst:
    """A running fault proxy."""

    def __init__(self, port):
        self.endpoint = f"http://127.0.0.1:{port}"

    def fired(self):
        """How often each fault was injected."""
        with urllib.request.urlopen(f"{self.endpoint}/_microburst/fired?limit=100000") as answer:
            return Counter(fault["action"] for fault in json.loads(answer.read()))


@pytest.fixture(scope="module")
def microburst(dynamodb_local_endpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("microburst")
    rules = folder / "rules.yml"
    matched = {"service": "dynamodb", "operation": "UpdateItem"}
    rules.write_text(json.dumps({"rules": [matched | fault for fault in FAULTS.values()]}))
    port = free_port()
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "microburst", "--upstream", dynamodb_local_endpoint),
                *("--host", "127.0.0.1", "--port", str(port), "--config", str(rules)),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_for_port(port)
            yield Microburst(port)
        finally:
            process.kill()  # it would first wait for the answers that it is holding back


@pytest.fixture
def faulty_engine(prod, dynamodb_local_endpoint, microburst, monkeypatch):
    """Functions whose every request passes the proxy; the tests look past it."""
    # The pauses between the SDK's own attempts, at a hundredth: their number is what matters here.
    sleep = botocore.endpoint.time.sleep
    monkeypatch.setattr(botocore.endpoint.time, "sleep", lambda seconds: sleep(seconds / 100))
    with dynamodb_local_engine(prod.state, dynamodb_local_endpoint) as engine:
        yield Engine(engine.tables, load_handlers(microburst.endpoint))


def stored_version(engine, fact):
    """The version that the table holds for `fact`'s family."""
    enrollments, imports = engine.contents()
    if fact.event_name.startswith("sis"):
        return imports[fact.key]["version"]
    family = "state_version" if fact.event_name.startswith("enrollment_state") else "enrollment_version"
    return enrollments[fact.key][family]


def test_a_history_told_to_a_failing_dynamodb_ends_as_the_oracle_says(faulty_engine, microburst):
    # GIVEN a history, shuffled and each event three times
    rng = random.Random(20)
    facts = random_history(rng, 120)
    told = facts * 3
    rng.shuffle(told)

    # WHEN it is told, and whatever fails is told again later
    redelivered = 0
    while told:
        fact = told.pop(0)
        try:
            outcome = faulty_engine.deliver(spell(fact, rng))
        except (ClientError, BotoCoreError):
            redelivered += 1
            told.insert(rng.randint(0, len(told)), fact)
            continue

        # THEN an outcome is true, and no failure is taken for one: only what is older than the table is stale
        stored, version = stored_version(faulty_engine, fact), version_of(fact)
        assert (stored > version) == (outcome == "Stale")

    # AND every fault was met, some events came again, and the tables are the oracle's
    assert microburst.fired().keys() == FAULTS.keys()
    assert redelivered > 0
    assert faulty_engine.contents() == tables_after(facts)
