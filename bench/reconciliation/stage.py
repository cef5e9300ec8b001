"""AWS resources of the reconciliation: tables in DynamoDB Local, all others in moto."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config

import testbed.environment  # noqa: F401  # the settings of the functions
from bench.reconciliation.large_lake import LargeLake
from testbed.engines import dynamodb_local, moto_server
from testbed.reconciliation.resources import create_resources

_WRITERS = 4
_ITEMS_PER_WRITE = 25


class Stage:
    """Resources of one stage.

    Attributes:
        settings: environment variables of its functions, without those that depend on the school.
    """

    def __init__(self, dynamodb: str, aws: str, folder: str) -> None:
        self._dynamodb = _client("dynamodb", dynamodb)
        self._s3 = _client("s3", aws)
        self.settings = os.environ | {
            "AWS_ENDPOINT_URL": aws,
            "AWS_ENDPOINT_URL_DYNAMODB": dynamodb,
            "TMPDIR": folder,
        }
        create_resources(partial(_client, endpoint=aws))
        self._create_table(os.environ["SIS_BATCHES_TABLE"], "account_id", index=os.environ["UNFINISHED_INDEX"])

    def create_enrollments(self, table: str, lake: LargeLake | None = None) -> None:
        """Create a table of enrollments with the items of `lake`, if any."""
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
        """Digest of the versions of all items. DynamoDB Local needs one second per megabyte."""
        digest = hashlib.sha256()
        versions = "enrollment_id, enrollment_version, state_version"
        for page in self._dynamodb.get_paginator("scan").paginate(TableName=table, ProjectionExpression=versions):
            digest.update(repr(page["Items"]).encode())
        return digest.hexdigest()

    def parts(self, run: str) -> list[dict[str, Any]]:
        """Items of the first Distributed Map of a run."""
        found = self._s3.get_object(Bucket=os.environ["RUN_BUCKET"], Key=f"runs/{run}/parts.json")
        parts: list[dict[str, Any]] = json.load(found["Body"])
        return parts

    def corrections(self, run: str) -> list[str]:
        """First thousand items of the second Distributed Map of a run: keys of files of corrections."""
        found = self._s3.list_objects_v2(Bucket=os.environ["RUN_BUCKET"], Prefix=f"runs/{run}/corrections/")
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
    """Run the servers of a stage."""
    with (
        TemporaryDirectory() as folder,
        dynamodb_local(Path(folder, "dynamodb-local.log")) as dynamodb,
        moto_server() as aws,
    ):
        yield Stage(dynamodb, aws, folder)


def _client(service: str, endpoint: str) -> Any:
    make: Any = boto3.client  # the overloads accept literal names only
    return make(service, endpoint_url=endpoint, config=Config(parameter_validation=False))
