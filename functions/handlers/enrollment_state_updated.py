"""enrollment_state_updated: an enrollment's state changed."""

from functions.canvas.enrollment_state import EnrollmentStateUpdated
from functions.consumer import consumer
from functions.state.enrollment import state_snapshot

handler = consumer(EnrollmentStateUpdated, to_change=state_snapshot)
