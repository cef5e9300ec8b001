"""What a function gets from its surroundings: settings, logger, metrics, patience. The only reader of os.environ."""

import os

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics

ATTEMPTS = 3
"""How often a call to AWS is tried in all. Even with every attempt timing out and the longest pauses of the standard
retries between them, two calls end within the function's own timeout (a test holds `infra.settings` to that)."""
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
