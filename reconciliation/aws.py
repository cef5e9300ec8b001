"""Clients of AWS for work in bulk: the requests are larger, and nobody waits for them."""

import logging
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config

ATTEMPTS = 5
CONNECT_SECONDS = 5
READ_SECONDS = 60

# At DEBUG it writes every request and answer, secrets and names among them.
logging.getLogger("botocore").setLevel(logging.WARNING)


@cache
def aws_client(service: str) -> Any:
    """The botocore client of `service`, made when it is first needed. Threads may share it."""
    return botocore.session.get_session().create_client(
        service,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        ),
    )
