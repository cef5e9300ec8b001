"""What an operator is told when AWS refuses."""

import pytest
from botocore import exceptions

from ops.aws_errors import explain


def answered(code, operation="ReceiveMessage", message="why"):
    return exceptions.ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (exceptions.NoCredentialsError(), "No AWS credentials were found. Log in: aws sso login"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="expired"), "could not be refreshed. Log in"),
        (exceptions.UnauthorizedSSOTokenError(), "could not be refreshed. Log in: aws sso login"),
        (exceptions.ProfileNotFound(profile="nobody"), "aws configure list-profiles"),
        (exceptions.EndpointConnectionError(endpoint_url="https://sqs.nowhere"), "Check the region (--region)"),
        (exceptions.ReadTimeoutError(endpoint_url="https://sqs"), "AWS request failed"),
        (answered("ExpiredToken"), "The AWS credentials have expired. Log in"),
        (answered("ExpiredTokenException"), "The AWS credentials have expired. Log in"),
        (answered("UnrecognizedClientException"), "AWS rejects these credentials"),
        (answered("AccessDenied", message="User x is not authorized"), "AWS denied ReceiveMessage: User x is not"),
        (answered("AccessDeniedException"), "OperatorsPolicyArn"),
        (answered("InternalError"), "AWS request failed"),
    ],
)
def test_a_failure_says_what_to_do(error, words):
    assert words in explain(error)
