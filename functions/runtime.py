"""Environment settings, logger, metrics and client timeouts. The only reader of `os.environ`."""

import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from functions.routes import PROJECT

ATTEMPTS = 3
"""Attempts of a request to AWS, including the first."""
CONNECT_SECONDS = 1
READ_SECONDS = 1


def setting(name: str) -> str:
    """The value of the environment variable `name`, which `infra` sets.

    Raises:
        RuntimeError: it is not set.
    """
    try:
        return os.environ[name]
    except KeyError:
        raise RuntimeError(f"{name} is not set: deploy the function with infra, which sets it") from None


logger = Logger(service=PROJECT)
metrics = Metrics(namespace=setting("METRICS_NAMESPACE"))


def count(name: str, number: int = 1) -> None:
    """Add `number` to the metric `name`."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)


def error_name(error: BaseException) -> str:
    """Name of `error` for the log: the error code of AWS, otherwise the exception type."""
    response: dict[str, Any] = getattr(error, "response", None) or {}  # a timeout has None
    return str(response.get("Error", {}).get("Code", type(error).__name__))


def aws_client(
    service: str, *, attempts: int = ATTEMPTS, connect_seconds: int = CONNECT_SECONDS, read_seconds: int = READ_SECONDS
) -> Any:
    """Create the client that `boto3.client` returns, without importing `boto3.resources` and `s3transfer`.

    botocore is imported here, because an event function needs it only to dead-letter a message.
    """
    import botocore.session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    return botocore.session.get_session().create_client(
        service,
        config=Config(
            connect_timeout=connect_seconds,
            read_timeout=read_seconds,
            retries={"mode": "standard", "total_max_attempts": attempts},
        ),
    )
