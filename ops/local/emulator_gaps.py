"""What MiniStack 1.5.33 leaves out of our stacks, made up through its API after each deployment.

1. CloudFormation ignores a function's `DeadLetterConfig`.
2. CloudFormation refuses `AWS::Events::Archive` (so the local stage's template has none).
3. A rule invokes its function once and forgets it: no retries, no dead-letter queue. `Invoke` with
   `InvocationType=Event` has both, so each rule's target becomes an API destination that makes this very call.

What its API cannot make up is left out of stage `local`, and named where it is:

4. It refuses alarms with metric math (`infra/alarms.py`).
5. It speaks plain HTTP, which a TLS-only queue policy denies (`infra/queue.py`).
6. It makes no metrics of the embedded metric format in logs, so `ops` reads the logs (`ops/activity.py`).
"""

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ops.local.emulator import ACCOUNT, REGION, Emulator
from ops.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient

ARCHIVE = "canvas-live-events"

# MiniStack looks up the key of a request's credential, and does not check its signature.
_AUTHORIZATION = (
    f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/lambda/aws4_request, SignedHeaders=host, Signature=none"
)


def fill_gaps(stage: Stage, emulator: Emulator) -> None:
    """Make the deployed local stage behave as the same template does on AWS. Safe to repeat."""
    events: EventBridgeClient = stage.client("events")
    _give_functions_their_dead_letter_queues(stage)
    _archive_the_bus(events, stage)
    _invoke_asynchronously(events, stage, emulator)


def _give_functions_their_dead_letter_queues(stage: Stage) -> None:
    cloudformation: CloudFormationClient = stage.client("cloudformation")
    lambda_: LambdaClient = stage.client("lambda")
    stack = stage.stack_name("processing")
    template: Any = cloudformation.get_template(StackName=stack)["TemplateBody"]
    resources = (json.loads(template) if isinstance(template, str) else template)["Resources"]
    functions = stage.resources("processing", "AWS::Lambda::Function")
    queues = stage.resources("processing", "AWS::SQS::Queue")
    for logical_id, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Function" and "DeadLetterConfig" in resource["Properties"]:
            queue, _attribute = resource["Properties"]["DeadLetterConfig"]["TargetArn"]["Fn::GetAtt"]
            queue_name = queues[queue].rsplit("/", 1)[-1]
            lambda_.update_function_configuration(
                FunctionName=functions[logical_id],
                DeadLetterConfig={"TargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue_name}"},
            )


def _archive_the_bus(events: "EventBridgeClient", stage: Stage) -> None:
    bus = events.describe_event_bus(Name=stage.event_bus)["Arn"]
    try:
        events.create_archive(ArchiveName=ARCHIVE, EventSourceArn=bus)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise


def _invoke_asynchronously(events: "EventBridgeClient", stage: Stage, emulator: Emulator) -> None:
    connection: str | None = None
    for rule in events.list_rules(EventBusName=stage.event_bus)["Rules"]:
        for target in events.list_targets_by_rule(Rule=rule["Name"], EventBusName=stage.event_bus)["Targets"]:
            if ":function:" not in target["Arn"]:
                continue
            connection = connection or _connection(events)
            function = target["Arn"].rsplit(":", 1)[-1]
            destination = events.create_api_destination(
                Name=function[:64],
                ConnectionArn=connection,
                InvocationEndpoint=f"{emulator.endpoint}/2015-03-31/functions/{function}/invocations",
                HttpMethod="POST",
            )["ApiDestinationArn"]
            events.put_targets(
                Rule=rule["Name"],
                EventBusName=stage.event_bus,
                Targets=[
                    {
                        "Id": target["Id"],
                        "Arn": destination,
                        "HttpParameters": {"HeaderParameters": {"X-Amz-Invocation-Type": "Event"}},
                    }
                ],
            )


def _connection(events: "EventBridgeClient") -> str:
    return events.create_connection(
        Name="asynchronous-invocation",
        AuthorizationType="API_KEY",
        AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "Authorization", "ApiKeyValue": _AUTHORIZATION}},
    )["ConnectionArn"]
