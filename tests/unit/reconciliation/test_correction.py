"""A correction is an ordinary event on the bus."""

import json

from reconciliation.correction import Correction

CORRECTION = Correction(
    event_name="sis_batch_updated",
    event_time="2026-11-20T10:00:00.000001Z",
    root_account_id="21070000000000001",
    body={"sis_batch_id": "77", "account_id": "1", "workflow_state": "aborted"},
)


def test_its_metadata_places_and_orders_it():
    entry = CORRECTION.entry("bus")

    assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == (
        "bus",
        "canvas-live-state",
        "sis_batch_updated",
    )
    assert json.loads(entry["Detail"]) == {
        "metadata": {
            "event_name": "sis_batch_updated",
            "event_time": "2026-11-20T10:00:00.000001Z",
            "producer": "canvas-live-state",
            "root_account_id": "21070000000000001",
        },
        "body": {"sis_batch_id": "77", "account_id": "1", "workflow_state": "aborted"},
    }


def test_it_survives_its_file():
    assert " " not in CORRECTION.to_json()
    assert Correction.from_json(CORRECTION.to_json()) == CORRECTION
