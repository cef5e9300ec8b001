"""The programs of the benchmark are comparable: all store the same items."""

import os
import subprocess
import sys
from datetime import datetime

import pytest

from bench.measure import INVOKE
from bench.programs import create_tables, write_batches
from testbed.engines import dynamodb_local
from testbed.events import ROOT

pytestmark = pytest.mark.slow

OURS = "functions.handlers.enrollment_updated.handler"
PEERS = ["typical.handler", "get_put.handler", "idempotent.handler", "floor.handler", "floor.raw_handler"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Invoke a handler with two full batches, with all packages installed, and return the stored items."""
    folder = tmp_path_factory.mktemp("bench")
    write_batches(folder)
    with dynamodb_local(folder / "dynamodb-local.log") as endpoint:
        tables = create_tables(endpoint_url=endpoint)
        environment = os.environ | {"AWS_ENDPOINT_URL_DYNAMODB": endpoint, "IDEMPOTENCY_TABLE": "idempotency"}

        def stored(asset, handler):
            command = [sys.executable, "-P", INVOKE, asset, handler, folder, "10x2"]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
            items = tables.items("enrollments")
            for item in items:
                key = {"enrollment_id": {"S": item["enrollment_id"]}}
                tables.client.delete_item(TableName="enrollments", Key=key)
            return [comparable(item) for item in items]

        yield stored


def comparable(item):
    """`item` without event times and versions, and with its other times as datetimes."""
    kept = {name: value for name, value in item.items() if not name.endswith(("event_time", "version"))}
    return kept | {name: datetime.fromisoformat(kept[name]) for name in ("created_at", "updated_at")}


@pytest.fixture(scope="module")
def ours(stored):
    return stored(ROOT, OURS)


@pytest.mark.parametrize("handler", PEERS)
def test_a_peer_stores_what_ours_stores(stored, ours, handler):
    assert len(ours) == 10
    assert stored(ROOT / "bench" / "peers", handler) == ours
