"""sis_batch_created: an import was handed in."""

from functions.canvas.sis_batch import SisBatchCreated
from functions.consumer import consumer
from functions.state.sis_batch import import_snapshot

handler = consumer(SisBatchCreated, to_change=import_snapshot)
