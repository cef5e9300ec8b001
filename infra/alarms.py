"""Alarms: each names its meaning and its section in the runbook, and notifies the topic of its severity."""

from collections.abc import Sequence
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.settings import Settings

PERIOD = cdk.Duration.minutes(5)
_RUNBOOK = "docs/operations.md"

Severity = Literal["page", "notify"]
"""Somebody must act now; somebody should look in the working hours."""


class Alarms(Construct):
    """The stage's alarms and their two topics."""

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        super().__init__(scope, construct_id)
        self._without_math = settings.runs_on_emulator
        self.topics: dict[Severity, sns.ITopic] = {
            "page": _topic(
                self, "Page", emails=settings.page_emails, existing=settings.page_topic_arn, settings=settings
            ),
            "notify": _topic(
                self, "Notify", emails=settings.notify_emails, existing=settings.notify_topic_arn, settings=settings
            ),
        }
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
        """An alarm when `metric` reaches `threshold`; of `silence`, when it stays below or has no data."""
        if self._without_math and isinstance(metric, cloudwatch.MathExpression):
            return  # the emulator refuses the whole stack for one such alarm
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
    """`SUM` or `MAX` over at most ten metrics, as many as an alarm may evaluate."""
    using = {f"m{number}": metric for number, metric in enumerate(metrics)}
    return cloudwatch.MathExpression(
        expression=f"{function}([{', '.join(using)}])", using_metrics=using, label=label, period=period
    )


def _topic(
    scope: Construct, construct_id: str, *, emails: Sequence[str], existing: str | None, settings: Settings
) -> sns.ITopic:
    """The topic of one severity: the stage's own, or an existing one that admits CloudWatch already."""
    if existing is not None:
        return sns.Topic.from_topic_arn(scope, construct_id, existing)
    topic = sns.Topic(scope, construct_id, enforce_ssl=not settings.runs_on_emulator)
    stack = cdk.Stack.of(scope)
    # `enforce_ssl` makes a policy, which replaces the default one that admits the whole account: without this statement
    # no alarm reaches the topic. Source: AWS Knowledge Center, "Why didn't I receive an SNS notification for my
    # CloudWatch alarm trigger?".
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
        severity = construct_id.lower()
        cdk.Annotations.of(topic).add_warning_v2(
            f"canvas-live-state:no-{severity}-recipient",
            f"Stage {settings.stage} is mute: its {severity} alarms reach nobody. Set {severity}_emails or "
            f"{severity}_topic_arn in stages.toml.",
        )
    return topic
