"""enrollment_updated: an enrollment was changed."""

from functions.canvas.enrollment import EnrollmentUpdated
from functions.consumer import consumer
from functions.state.enrollment import enrollment_snapshot

handler = consumer(EnrollmentUpdated, to_change=enrollment_snapshot)
