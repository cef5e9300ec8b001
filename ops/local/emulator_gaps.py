"""How MiniStack 1.5.33 differs from AWS, and what the stacks do about it.

Created through its API after each deployment:

- The archive of the event bus: CloudFormation refuses `AWS::Events::Archive`.
- The permission for `SendMessageBatch`, which on AWS is that for `sqs:SendMessage`.

Left out of stage `local`:

- Alarms with metric math, which CloudFormation refuses (`infra/alarms.py`).
- TLS-only policies of queues, topics and the bucket of runs: the emulator speaks plain HTTP.
- The schedules of the reconciliation, which are disabled (`infra/reconciliation.py`).

Different from AWS:

- It makes no metrics of the embedded metric format, so `ops` reads the logs (`ops/activity.py`). Under load it drops
  lines of them.
- A rule sends an event to its queue once, without retries or the dead-letter queue of its target.
- Neither a rule nor an event source mapping needs a permission on the queue.
- An event source mapping ignores its batching window, and scales to `MaximumConcurrency` at once.
- SQS answers a short poll completely, and has no `StartMessageMoveTask`.
- The archive has an event at once; a replay ignores `FilterArns` and delivers to every rule.
- CloudWatch records no actions in the history of an alarm.
- Every error of a function has the type `Runtime.HandlerError`, so Step Functions cannot distinguish errors:
  `ops/local/ministack_with_error_types.py` corrects that.
- A state machine has the permissions of the account, not those of its role. It never times out, and a running map ends
  before `StopExecution` takes effect.
- A bucket never expires objects: CloudFormation leaves out the lifecycle rules.
"""

import json

from botocore.exceptions import ClientError

from infra.settings import EMULATOR_ACCOUNT, EMULATOR_REGION
from ops.stage import Stage


def fill_gaps(stage: Stage) -> None:
    """Create what the deployment of the local stage left out. Safe to repeat."""
    events, iam = stage.client("events"), stage.client("iam")
    bus = events.describe_event_bus(Name=stage.event_bus)["Arn"]
    try:
        events.create_archive(ArchiveName="canvas-live-events", EventSourceArn=bus)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise
    for function in stage.client("lambda").list_functions()["Functions"]:
        queue_url = function["Environment"]["Variables"].get("DEAD_LETTER_QUEUE_URL")
        if queue_url is not None:
            queue = f"arn:aws:sqs:{EMULATOR_REGION}:{EMULATOR_ACCOUNT}:{queue_url.rsplit('/', 1)[-1]}"
            statement = {"Effect": "Allow", "Action": "sqs:SendMessageBatch", "Resource": queue}
            iam.put_role_policy(
                RoleName=function["Role"].rsplit("/", 1)[-1],
                PolicyName="send-message-batch",
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
            )
