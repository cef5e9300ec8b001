"""Handler of enrollment_updated events."""

from functions.batch import batch_handler
from functions.canvas.enrollment import EnrollmentUpdated
from functions.projection.enrollment import enrollment_snapshot

handler = batch_handler(EnrollmentUpdated, to_change=enrollment_snapshot)
