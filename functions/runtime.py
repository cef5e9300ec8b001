"""What a function gets from its surroundings: settings, logger, metrics, AWS clients. The only reader of os.environ."""

import os
from typing import Any

import botocore.session
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics
from botocore.config import Config

ATTEMPTS = 3
CONNECT_SECONDS = 1
READ_SECONDS = 1

logger = Logger(service="canvas-live-state")
metrics = Metrics(namespace="CanvasLiveState")


def setting(name: str) -> str:
    """The value of the function's environment variable `name`; `infra` sets it.

    Raises:
        RuntimeError: it is not set.
    """
    try:
        return os.environ[name]
    except KeyError:
        raise RuntimeError(f"{name} is not set: deploy the function with infra, which sets it") from None


def client(service: str) -> Any:
    """The low-level client of `service`, made once at import.

    It is the object that `boto3.client` returns, without the import of `boto3.resources` and `s3transfer`, which no
    function uses. Even with every attempt timing out and the longest pauses of the standard retries between them, two
    calls end within the function's own timeout (a test holds `infra.settings` to that).
    """
    return botocore.session.get_session().create_client(
        service,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        ),
    )
