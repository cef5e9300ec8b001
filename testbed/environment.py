"""Sets the environment variables that the functions read when they are imported."""

import os
import sys
from pathlib import Path

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
    # Settings of the reconciliation. Tests against the test double replace both Canvas URLs.
    ROOT_ACCOUNT_ID="21070000000000001",
    CANVAS_URL="http://127.0.0.1:9",
    CANVAS_SECRET_ARN="canvas-token",
    CANVAS_DATA_URL="http://127.0.0.1:9",
    CANVAS_DATA_SECRET_ARN="canvas-data",
    RUN_BUCKET="runs",
    RUN_NUMBER_PARAMETER="/canvas-live-state/test/run-number",
    STATE_MACHINE_ARN="arn:aws:states:us-east-1:123456789012:stateMachine:canvas-live-state-test-reconciliation",
    SCHEDULE_HOURS="24",
    WINDOW_DAYS="22",
    MARGIN_HOURS="10",
    CORRECTION_LIMIT="1000",
    CORRECTION_LIMIT_PERCENT="5",
    CORRECTIONS_PER_SECOND="1000000",
    QUEUE_URLS=" ".join(
        f"https://sqs.us-east-1.amazonaws.com/123456789012/{name}"
        for name in ("enrollment_updated", "enrollment_state_updated", "sis_batch_updated")
    ),
    QUEUE_DEPTH_LIMIT="5000",
)
for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
    os.environ.pop(name, None)
# The CDK needs Node; the one of this environment takes precedence.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
