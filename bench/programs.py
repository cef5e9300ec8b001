"""Builds the measured programs: assets, batches and a DynamoDB."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from uv import find_uv_bin

from infra.bundling import build_asset
from infra.platform import HOST, LAMBDA
from testbed.engines import dynamodb_local
from testbed.events import ROOT, event_batch, example
from testbed.stacks import synthesise
from testbed.tables import Tables

FULL_BATCH = 10
_PEERS = ROOT / "bench" / "peers"
# Required by the SQS model of Powertools.
_MESSAGE_ATTRIBUTES = {
    "ApproximateReceiveCount": "1",
    "SentTimestamp": "1767225600000",
    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
    "ApproximateFirstReceiveTimestamp": "1767225600001",
}


class Program(NamedTuple):
    """An implementation of the function of `enrollment_updated`. `folder` has its batches and its measurements."""

    name: str
    handler: str
    asset: Path
    folder: Path
    zipped_bytes: int


def build_programs(folder: Path) -> list[Program]:
    """Build all assets below `folder`, with bytecode that is never validated, as in the deployed asset."""
    ours, ours_in_lambda, peers, floor = (folder / name for name in ("ours", "lambda", "peers", "floor"))
    build_asset(ours, HOST)
    build_asset(ours_in_lambda, LAMBDA)
    install = (find_uv_bin(), "pip", "install", "--quiet", "--only-binary", ":all:", "--python", sys.executable)
    into = ("--target", peers, "--constraint", ROOT / "requirements.txt")
    subprocess.run([*install, *into, "aws-lambda-powertools", "boto3", "pydantic"], check=True)
    for asset in (peers, floor):
        shutil.copytree(_PEERS, asset, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        unchecked = ("-q", "-j", "0", "--invalidation-mode", "unchecked-hash")
        subprocess.run([sys.executable, "-m", "compileall", *unchecked, asset], check=True)
    ours_bytes, peers_bytes = (
        Path(shutil.make_archive(str(asset), "zip", asset)).stat().st_size for asset in (ours_in_lambda, peers)
    )
    write_batches(folder)
    return [
        Program("ours", "functions.handlers.enrollment_updated.handler", ours, folder, ours_bytes),
        Program("typical", "typical.handler", peers, folder, peers_bytes),
        Program("get + put", "get_put.handler", peers, folder, peers_bytes),
        Program("typical + idempotency", "idempotent.handler", peers, folder, peers_bytes),
        Program("floor", "floor.handler", floor, folder, 0),
        Program("raw socket", "floor.raw_handler", floor, folder, 0),
    ]


def write_batches(folder: Path) -> None:
    """Write `10.json`, a full batch, and `1.json`, for different enrollments and with the placeholder EVENT_TIME."""
    for size in (FULL_BATCH, 1):
        metadata, ids = {"event_time": "EVENT_TIME"}, (f"{size}{number:015}" for number in range(size))
        messages = [example("enrollment_updated", metadata=metadata, body={"enrollment_id": id_}) for id_ in ids]
        batch = event_batch(*messages, event_name="enrollment_updated")
        for record in batch["Records"]:
            record["attributes"] = _MESSAGE_ATTRIBUTES
        (folder / f"{size}.json").write_text(json.dumps(batch))


@contextlib.contextmanager
def dynamodb(folder: Path) -> Iterator[str]:
    """Run DynamoDB Local with the tables and yield its URL."""
    with dynamodb_local(folder / "dynamodb-local.log") as endpoint:
        create_tables(endpoint_url=endpoint)
        yield endpoint


def create_tables(**client: str) -> Tables:
    """Create the tables of stage prod, and one for the idempotency utility of Powertools."""
    tables = Tables(synthesise("prod").data, **client)
    tables.client.create_table(
        TableName="idempotency",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return tables
