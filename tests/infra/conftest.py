"""Templates of stages with the reconciliation."""

import pytest

from infra.settings import Reconciliation, stage_settings
from testbed.stacks import PROD, synthesise

CANVAS_SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:canvas-AbCdEf"
CANVAS_DATA_SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:canvas-data"  # a partial ARN

_RECONCILIATION = Reconciliation(
    root_account_id="21070000000000001",
    canvas_url="https://canvas.example.edu",
    canvas_secret_arn=CANVAS_SECRET,
    canvas_data_secret_arn=CANVAS_DATA_SECRET,
)
RECONCILED = PROD.model_copy(update={"reconciliation": _RECONCILIATION})


CHANGED = RECONCILED.model_copy(
    update={
        "keeps_data": False,
        "notify_topic_arn": "arn:aws:sns:us-east-1:111122223333:integration",
        "reconciliation": _RECONCILIATION.model_copy(
            update={
                "canvas_data_url": "https://data.example.edu",
                "schedule_hours": 36,
                "window_days": 30,
                "margin_hours": 12,
                "correction_limit": 7,
                "correction_limit_percent": 1,
                "corrections_per_second": 50,
                "drift_alarm": 9,
            }
        ),
    }
)


@pytest.fixture(scope="session")
def reconciled():
    """Templates of a stage with the reconciliation and default settings."""
    return synthesise(RECONCILED)


@pytest.fixture(scope="session")
def changed():
    """Templates of a stage with another value for every setting of the reconciliation."""
    return synthesise(CHANGED)


@pytest.fixture(scope="session")
def local():
    """Templates of the local stage, with the test double of Canvas."""
    return synthesise(stage_settings("local").compared_with("http://127.0.0.1:4711"))
