"""Facts that two packages need, neither of which may import the other: both places say the same."""

from dataclasses import fields
from datetime import timedelta

from canvas_live_state import RosterEntry
from functions import dead_letters
from functions.canvas.ids import IDS_PER_SHARD
from infra import settings
from infra.indexes import ROSTER_ATTRIBUTES, ROSTER_INDEXES
from ops import redrive
from reconciliation import as_of


def test_settings_and_functions_divide_global_ids_alike():
    assert settings._SHARD == IDS_PER_SHARD


def test_a_redrive_sends_requests_as_large_as_dead_lettering_does():
    assert redrive._MAX_REQUEST_BYTES == dead_letters.MAX_REQUEST_BYTES


def test_the_reader_has_what_the_roster_indexes_have():
    keys = {name for index in ROSTER_INDEXES.values() for name in index}
    assert {field.name for field in fields(RosterEntry)} == {"enrollment_id", *keys, *ROSTER_ATTRIBUTES}


def test_the_largest_margin_is_shorter_than_the_time_after_which_a_table_is_still():
    (largest,) = (
        bound.le
        for bound in settings.Reconciliation.model_fields["margin_hours"].metadata
        if getattr(bound, "le", None) is not None
    )
    assert timedelta(hours=largest) < as_of._STILL_TABLE
