"""A DynamoDB that answers as a test says, in place of an engine."""

import pytest

from testbed.functions import load_handlers
from testbed.scripted_server import OK, scripted_server


@pytest.fixture(scope="session")
def dynamodb_server():
    """The server of the whole session."""
    with scripted_server() as server:
        yield server


@pytest.fixture
def dynamodb(dynamodb_server):
    """The server, which accepts every write until a test says otherwise."""
    dynamodb_server.answers, dynamodb_server.requests = [OK], []
    return dynamodb_server


@pytest.fixture(scope="session")
def handlers(dynamodb_server):
    """The six handlers, by event name."""
    return load_handlers(dynamodb_server.endpoint)
