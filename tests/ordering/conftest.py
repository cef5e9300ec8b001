"""The two engines of the contract suite."""

import pytest

from tests.ordering.engines import dynamodb_local, dynamodb_local_engine, moto_engine


@pytest.fixture(scope="session")
def dynamodb_local_endpoint(tmp_path_factory):
    """Amazon's DynamoDB Local, started for this session."""
    with dynamodb_local(tmp_path_factory.mktemp("dynamodb-local") / "log") as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def local_engine(prod, dynamodb_local_endpoint):
    """DynamoDB Local alone, for tests with faults or with many writers."""
    with dynamodb_local_engine(prod.data, dynamodb_local_endpoint) as local:
        yield local


@pytest.fixture(scope="module", params=["moto", "dynamodb-local"])
def engine(request, prod):
    """Each engine in turn: what holds of one must hold of the other."""
    if request.param == "moto":
        with moto_engine(prod.data) as moto:
            yield moto
    else:
        yield request.getfixturevalue("local_engine")
