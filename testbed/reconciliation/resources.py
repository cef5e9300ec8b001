"""Creates the AWS resources of a run beside the tables, with the names that `testbed.environment` sets."""

import json
import os
from collections.abc import Callable
from typing import Any

SECRETS = {
    "CANVAS_SECRET_ARN": {"token": "double-token"},
    "CANVAS_DATA_SECRET_ARN": {"client_id": "double", "client_secret": "double-secret"},
}
"""Credentials that the test double of Canvas accepts, by the environment variable with the name of the secret."""


def create_resources(client: Callable[[str], Any]) -> None:
    """Create bucket, secrets, event bus, queues and a state machine. `client` returns the client of a service."""
    client("s3").create_bucket(Bucket=os.environ["RUN_BUCKET"])
    for variable, secret in SECRETS.items():
        client("secretsmanager").create_secret(Name=os.environ[variable], SecretString=json.dumps(secret))
    client("events").create_event_bus(Name=os.environ["EVENT_BUS"])
    for url in os.environ["QUEUE_URLS"].split():
        client("sqs").create_queue(QueueName=url.rpartition("/")[2])
    role = client("iam").create_role(RoleName="reconciliation", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    client("stepfunctions").create_state_machine(
        name=os.environ["STATE_MACHINE_ARN"].rpartition(":")[2],
        definition=json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}}),
        roleArn=role,
    )
