"""Reads the state of Canvas enrollments and SIS imports. For services to install or to copy; requires boto3 only.

from canvas_live_state import Reader

reader = Reader.of_stage("prod")
for entry in reader.roster("21070000000000565"):
    print(entry.user_id, entry.workflow_state)
"""

from canvas_live_state.reader import Reader
from canvas_live_state.records import Enrollment, RosterEntry, SisImport

__all__ = ["Enrollment", "Reader", "RosterEntry", "SisImport"]
