"""The tests. The functions read their settings when they are imported, so those are set before anything else."""

import os

os.environ.update(
    AWS_REGION="us-east-1",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    ENROLLMENTS_TABLE="enrollments",
    SIS_BATCHES_TABLE="sis_batches",
    EVENT_BUS="canvas-live-events-test",
    DEAD_LETTER_QUEUE_URL="https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters",
    ROOT_ACCOUNT_IDS="",
    FUTURE_TOLERANCE_MINUTES="15",
    UNFINISHED_INDEX="unfinished",
    METRICS_NAMESPACE="CanvasLiveState/test",
    STUCK_IMPORT_HOURS="12",
)
for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
    os.environ.pop(name, None)
