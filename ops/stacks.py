"""CloudFormation stacks: their state and outputs, and how to repair them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_SETTLED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
_MISSING = "MISSING"

_PROBLEMS = {
    _MISSING: "does not exist in this account and region",
    "REVIEW_IN_PROGRESS": "holds nothing: a change set was made for it and never executed",
    "ROLLBACK_COMPLETE": "holds nothing: its first deployment failed and was rolled back",
    "ROLLBACK_FAILED": "is broken: its first deployment failed, and so did the rollback",
    "CREATE_FAILED": "is broken: its first deployment failed",
    "DELETE_FAILED": "is half deleted: some of its resources could not be deleted",
    "UPDATE_FAILED": "is half updated: its last deployment failed",
    "UPDATE_ROLLBACK_FAILED": "is half updated: its last deployment failed, and so did the rollback",
    "UPDATE_ROLLBACK_COMPLETE": "is as it was before its last deployment, which failed and was rolled back",
}
"""Source: CloudFormation user guide, "Understand CloudFormation stack status codes"."""


@dataclass(frozen=True)
class Stack:
    """A stack: its name, its status in CloudFormation or `MISSING`, and its outputs."""

    name: str
    state: str
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_settled(self) -> bool:
        """Whether its last deployment succeeded and has ended."""
        return self.state in _SETTLED


def describe_stack(cloudformation: "CloudFormationClient", name: str) -> Stack:
    """The stack `name`, whether it exists or not."""
    try:
        described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return Stack(name, _MISSING)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    return Stack(name, described["StackStatus"], outputs)


def problem_of(stack: Stack, *, deploy: str, aws_options: str) -> str:
    """What is wrong with a stack that is not settled or lacks an output, and the command that repairs it.

    `deploy` is the command that deploys it, `aws_options` are the options of the AWS command line for it.
    """
    why = f"aws cloudformation describe-stack-events --stack-name {stack.name} {aws_options}".rstrip()
    match stack.state:
        case state if state.endswith("_IN_PROGRESS") and state != "REVIEW_IN_PROGRESS":
            wait = "stack-delete-complete" if state == "DELETE_IN_PROGRESS" else "stack-update-complete"
            wait = "stack-create-complete" if state == "CREATE_IN_PROGRESS" else wait
            cure = f"aws cloudformation wait {wait} --stack-name {stack.name} {aws_options}".rstrip()
            return f"Stack {stack.name} is being changed ({state}). Wait for it: {cure}"
        case "UPDATE_ROLLBACK_FAILED":
            cure = f"aws cloudformation continue-update-rollback --stack-name {stack.name} {aws_options}".rstrip()
            return f"Stack {stack.name} {_PROBLEMS[stack.state]}. Look why: {why}\nRemove the cause, then: {cure}"
        case "MISSING" | "REVIEW_IN_PROGRESS":
            return f"Stack {stack.name} {_PROBLEMS[stack.state]}. Deploy it: {deploy}"
        case "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" as state:
            # The next deployment deletes the stack first, which its protection forbids.
            unlock = (
                "aws cloudformation update-termination-protection --no-enable-termination-protection "
                f"--stack-name {stack.name} {aws_options}"
            ).rstrip()
            return (
                f"Stack {stack.name} {_PROBLEMS[state]} ({state}). Look why: {why}\nThen allow its deletion: {unlock}\n"
                f"Then deploy again: {deploy}\nSee docs/deployment.md#a-first-deployment-that-failed"
            )
        case state if state in _PROBLEMS:
            return f"Stack {stack.name} {_PROBLEMS[state]} ({state}). Look why: {why}\nThen deploy again: {deploy}"
        case _:
            return f"Stack {stack.name} is of another version than this checkout. Deploy it: {deploy}"
