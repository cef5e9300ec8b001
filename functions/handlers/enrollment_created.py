"""Handler of enrollment_created events."""

from functions.batch import batch_handler
from functions.canvas.enrollment import EnrollmentCreated
from functions.projection.enrollment import enrollment_snapshot

handler = batch_handler(EnrollmentCreated, to_change=enrollment_snapshot)
