"""Both DynamoDB engines."""

import pytest

from testbed.engines import dynamodb_local, dynamodb_local_engine, moto_engine


@pytest.fixture(scope="session")
def dynamodb_local_endpoint(tmp_path_factory):
    """URL of DynamoDB Local, which runs for the session."""
    with dynamodb_local(tmp_path_factory.mktemp("dynamodb-local") / "log") as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def local_engine(prod, dynamodb_local_endpoint):
    """DynamoDB Local, for tests with faults or concurrent writers."""
    with dynamodb_local_engine(prod.data, dynamodb_local_endpoint) as local:
        yield local


@pytest.fixture(scope="module", params=["moto", "dynamodb-local"])
def engine(request, prod):
    """Each engine in turn."""
    if request.param == "moto":
        with moto_engine(prod.data) as moto:
            yield moto
    else:
        yield request.getfixturevalue("local_engine")
