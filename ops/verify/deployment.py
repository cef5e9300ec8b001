"""Checks the deployment of a stage: stacks, archive, event source mappings and recipients of alarms."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from functions.routes import CORRECTION_SOURCE, ROUTES, SOURCE
from infra.settings import SEVERITIES, Severity
from ops.replay import describe_archive
from ops.stage import PARTS, Stage
from ops.verify.report import Check, failed, ok, warning

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import DescribeArchiveResponseTypeDef


def check_stacks(stage: Stage) -> Iterator[Check]:
    """Check that the last deployment of each stack succeeded."""
    for part in PARTS:
        stack = stage.stack(part)
        if stack.is_settled:
            yield ok(f"stack {part}", stack.state)
        else:
            yield failed(f"stack {part}", stack.state, stage.problem_of(stack))


def check_archive(stage: Stage) -> Iterator[Check]:
    """Check that the archive of the event bus contains all events, with the retention of stages.toml."""
    name = "archive"
    deploy = stage.deploy_command
    archive, days = describe_archive(stage), stage.settings.archive_days
    if archive is None:
        if days and not stage.settings.runs_on_emulator:
            yield failed(name, f"does not exist, and stages.toml says archive_days = {days}", deploy)
        else:
            yield ok(name, "none, as stages.toml says")
    elif archive["State"] != "ENABLED":
        why = archive.get("StateReason", "no reason given")
        yield failed(name, f"is {archive['State']} ({why}): it keeps no event", deploy)
    elif left_out := _left_out(stage, archive):
        yield failed(name, f"its pattern leaves out {', '.join(left_out)}", deploy)
    elif archive.get("RetentionDays", 0) != days and not stage.settings.runs_on_emulator:
        kept = archive.get("RetentionDays", 0)
        yield failed(name, f"keeps events for {kept} days, and stages.toml says {days}", deploy)
    else:
        yield ok(name, f"enabled, takes all six events, keeps them {days} days" if days else "enabled, takes all six")


def check_mappings(stage: Stage) -> Iterator[Check]:
    """Check that each queue has a function that polls it with partial batch responses."""
    lambda_, sqs = stage.client("lambda"), stage.client("sqs")
    wrong = {}
    queues = {name: url for name, url in stage.queues.items() if name.endswith("Queue")}
    for name, url in queues.items():
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        mappings = lambda_.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
        if problem := _problem_of_mapping(mappings):
            wrong[name] = problem
    if wrong:
        yield failed(
            "event source mappings",
            "; ".join(f"{name} {problem}" for name, problem in wrong.items()),
            f"Deploy it: {stage.deploy_command}\nA mapping that was disabled by hand: "
            f"aws lambda update-event-source-mapping --enabled --uuid UUID {stage.aws_options}".rstrip(),
        )
    else:
        yield ok("event source mappings", f"{len(queues)} enabled, reporting batch item failures")


def check_recipients(stage: Stage) -> Iterator[Check]:
    """Check that the alarms of each severity have recipients with confirmed subscriptions."""
    for severity in SEVERITIES:
        yield _check_topic(stage, severity)


def _check_topic(stage: Stage, severity: Severity) -> Check:
    name = f"recipients of {severity} alarms"
    topic = stage.output("pipeline", f"{severity.capitalize()}TopicArn")
    pages = stage.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    subscriptions = list(pages.search("Subscriptions[]"))
    pending = [each["Endpoint"] for each in subscriptions if each["SubscriptionArn"] == "PendingConfirmation"]
    confirmed = [each["Endpoint"] for each in subscriptions if each["SubscriptionArn"].startswith("arn:")]
    wanted, _ = stage.settings.recipients(severity)
    gone = [email for email in wanted if email not in {*pending, *confirmed}]
    subscribe = f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint"
    if pending or gone:
        said = [*([f"not confirmed: {', '.join(pending)}"] * bool(pending))]
        said += [f"not subscribed: {', '.join(gone)}"] * bool(gone)
        again = f"{subscribe} {[*pending, *gone][0]} {stage.aws_options}".rstrip()
        return failed(name, "; ".join(said), f"Follow the link in the mail of AWS. To have it sent again: {again}")
    if confirmed:
        return ok(name, f"{len(confirmed)} confirmed")
    if stage.settings.runs_on_emulator:
        return ok(name, "none, on the emulator")
    return warning(name, "none: these alarms have no recipient", f"Set {severity}_emails in stages.toml, then deploy.")


def _left_out(stage: Stage, archive: "DescribeArchiveResponseTypeDef") -> list[str]:
    """The events that the pattern of `archive` does not match, as evaluated by EventBridge."""
    pattern = archive.get("EventPattern")
    if not pattern:
        return []
    events = stage.client("events")
    account = archive["ArchiveArn"].split(":")[4]
    return [
        f"{source} {route.event_name}"
        for source in (SOURCE, CORRECTION_SOURCE)
        for route in ROUTES
        if not events.test_event_pattern(
            EventPattern=pattern, Event=json.dumps(_event(account, source, route.event_name))
        )["Result"]
    ]


def _event(account: str, source: str, event_name: str) -> dict[str, Any]:
    """An event in the format of EventBridge. Source: EventBridge API reference, "TestEventPattern"."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "account": account,
        "source": source,
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail-type": event_name,
        "detail": {},
    }


def _problem_of_mapping(mappings: list[dict[str, Any]]) -> str | None:
    if not mappings:
        return "has no function that polls it"
    (mapping, *_) = mappings
    if mapping["State"] != "Enabled":
        return f"is not polled: the mapping {mapping['UUID']} is {mapping['State']}"
    if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
        return f"has a mapping without ReportBatchItemFailures ({mapping['UUID']}): failed messages would be lost"
    return None
