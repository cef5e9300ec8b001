"""Environment settings, logger, metrics and client timeouts. The only reader of `os.environ`."""

import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

ATTEMPTS = 3
"""How often a request to AWS is sent, the first attempt included."""
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


logger = Logger(service="canvas-live-state")
metrics = Metrics(namespace=setting("METRICS_NAMESPACE"))


def count(name: str, number: int = 1) -> None:
    """Add `number` to the metric `name`."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)


def error_name(error: BaseException) -> str:
    """What may be logged of `error`: the code of a refused AWS request, otherwise the type."""
    response: dict[str, Any] = getattr(error, "response", None) or {}  # None of a timeout
    return str(response.get("Error", {}).get("Code", type(error).__name__))


def aws_client(service: str) -> Any:
    """A botocore client of `service`.

    It is the object that `boto3.client` returns, without the import of `boto3.resources` and `s3transfer`. botocore is
    imported here, because a function that writes events needs it only to dead-letter a message.
    """
    import botocore.session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    return botocore.session.get_session().create_client(
        service,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        ),
    )
