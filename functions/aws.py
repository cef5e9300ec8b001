"""The AWS client of whoever writes no event: the relay and the watcher."""

from typing import Any

import botocore.session
from botocore.config import Config

from functions.runtime import ATTEMPTS, CONNECT_SECONDS, READ_SECONDS


def client(service: str) -> Any:
    """The low-level client of `service`, made once at import.

    It is the object that `boto3.client` returns, without the import of `boto3.resources` and `s3transfer`, which no
    function uses.
    """
    return botocore.session.get_session().create_client(
        service,
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        ),
    )
