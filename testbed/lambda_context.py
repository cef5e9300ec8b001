"""Test double of the Lambda context object."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FunctionContext:
    """The attributes of the Lambda context that the logger reads."""

    function_name: str = "function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id: str = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"
    tenant_id: str | None = None
