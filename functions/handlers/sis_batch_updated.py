"""Handler of sis_batch_updated events."""

from functions.batch import batch_handler
from functions.canvas.sis_batch import SisBatchUpdated
from functions.projection.sis_batch import import_snapshot

handler = batch_handler(SisBatchUpdated, to_change=import_snapshot)
