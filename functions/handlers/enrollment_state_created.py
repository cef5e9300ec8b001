"""Handler of enrollment_state_created events."""

from functions.batch import batch_handler
from functions.canvas.enrollment_state import EnrollmentStateCreated
from functions.projection.enrollment import state_snapshot

handler = batch_handler(EnrollmentStateCreated, to_change=state_snapshot)
