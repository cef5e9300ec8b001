"""enrollment_state_created: an enrollment got its first state."""

from functions.canvas.enrollment_state import EnrollmentStateCreated
from functions.consumer import consumer
from functions.state.enrollment import state_snapshot

handler = consumer(EnrollmentStateCreated, to_change=state_snapshot)
