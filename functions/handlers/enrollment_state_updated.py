"""Handler of enrollment_state_updated events."""

from functions.batch import batch_handler
from functions.canvas.enrollment_state import EnrollmentStateUpdated
from functions.projection.enrollment import state_snapshot

handler = batch_handler(EnrollmentStateUpdated, to_change=state_snapshot)
