"""The alarms of a stage, each with its section of the runbook, and the topics that they notify."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from functions.routes import PROJECT
from infra.settings import SEVERITIES, Settings, Severity

PERIOD = cdk.Duration.minutes(5)
AN_HOUR = cdk.Duration.hours(1)
ATTEMPTS_OF_A_SCHEDULE = 3
"""Asynchronous invocations are retried twice. Source: Lambda developer guide, "Asynchronous invocation"."""

_RUNBOOK = "docs/operations.md"


class Alarms(Construct):
    """The alarms of a stage, and a topic for each severity."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self._without_math = settings.runs_on_emulator
        self.topics = {severity: _topic(self, severity, settings) for severity in SEVERITIES}
        self.all: list[cloudwatch.Alarm] = []

    def add(
        self,
        construct_id: str,
        metric: cloudwatch.IMetric,
        *,
        severity: Severity,
        meaning: str,
        threshold: float = 1,
        periods: int = 1,
        silence: bool = False,
    ) -> None:
        """Add an alarm on `metric` reaching `threshold`; with `silence`, on being below it or without data."""
        if self._without_math and isinstance(metric, cloudwatch.MathExpression):
            return  # the emulator would reject the stack
        anchor = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in construct_id)
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
            if silence
            else cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING
            if silence
            else cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{severity}: {meaning} Runbook: {_RUNBOOK}#alarm{anchor}",
        )
        action = actions.SnsAction(self.topics[severity])
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
        self.all.append(alarm)


def metric_math(
    function: str, label: str, metrics: Sequence[cloudwatch.IMetric], *, period: cdk.Duration = PERIOD
) -> cloudwatch.MathExpression:
    """The `SUM` or `MAX` of at most ten metrics, the limit of an alarm."""
    using = {f"m{number}": metric for number, metric in enumerate(metrics)}
    return cloudwatch.MathExpression(
        expression=f"{function}([{', '.join(using)}])", using_metrics=using, label=label, period=period
    )


def _topic(scope: Construct, severity: Severity, settings: Settings) -> sns.ITopic:
    """The topic of one severity: a new one, or an existing one that admits CloudWatch."""
    construct_id = severity.capitalize()
    emails, existing = settings.recipients(severity)
    if existing is not None:
        return sns.Topic.from_topic_arn(scope, construct_id, existing)
    topic = sns.Topic(scope, construct_id, enforce_ssl=not settings.runs_on_emulator)
    stack = cdk.Stack.of(scope)
    # The policy of `enforce_ssl` replaces the default one, which admits the account. Source: AWS Knowledge Center, "Why
    # didn't I receive an SNS notification for my CloudWatch alarm trigger?".
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {"aws:SourceArn": stack.format_arn(service="cloudwatch", resource="alarm:*")},
            },
        )
    )
    for email in emails:
        topic.add_subscription(subscriptions.EmailSubscription(email))
    if not emails and not settings.runs_on_emulator:
        cdk.Annotations.of(topic).add_warning_v2(
            f"{PROJECT}:no-{severity}-recipient",
            f"The {severity} alarms of stage {settings.stage} have no recipient. Set {severity}_emails or "
            f"{severity}_topic_arn in stages.toml.",
        )
    return topic
