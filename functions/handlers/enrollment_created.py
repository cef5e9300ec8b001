"""enrollment_created: a user was enrolled in a course."""

from functions.canvas.enrollment import EnrollmentCreated
from functions.consumer import consumer
from functions.state.enrollment import enrollment_snapshot

handler = consumer(EnrollmentCreated, to_change=enrollment_snapshot)
