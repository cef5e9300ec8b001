"""Handler of sis_batch_created events."""

from functions.batch import batch_handler
from functions.canvas.sis_batch import SisBatchCreated
from functions.projection.sis_batch import import_snapshot

handler = batch_handler(SisBatchCreated, to_change=import_snapshot)
