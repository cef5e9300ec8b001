"""sis_batch_updated: an import entered another state."""

from functions.canvas.sis_batch import SisBatchUpdated
from functions.consumer import consumer
from functions.state.sis_batch import import_snapshot

handler = consumer(SisBatchUpdated, to_change=import_snapshot)
