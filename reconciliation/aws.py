"""AWS clients for bulk requests, with longer timeouts than those of the event path."""

import logging
from functools import cache
from typing import Any

from functions import runtime

# At DEBUG it logs requests and responses, with secrets and names.
logging.getLogger("botocore").setLevel(logging.WARNING)


@cache
def aws_client(service: str) -> Any:
    """The botocore client of `service`, created on first use. Threads may share it."""
    return runtime.aws_client(service, attempts=5, connect_seconds=5, read_seconds=60)
