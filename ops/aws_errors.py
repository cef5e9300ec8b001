"""Explains failed AWS requests to the operator."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_INVALID = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AccessDeniedError", "UnauthorizedOperation"})

_LOG_IN = "Log in: aws sso login [--profile NAME], or: export AWS_PROFILE=…"


def explain(error: BotoCoreError | ClientError) -> str:
    """What is wrong, and what to do about it."""
    if isinstance(error, ClientError):
        return _explain_answer(error)
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            return f"No AWS credentials were found. {_LOG_IN}"
        case SSOTokenLoadError() | UnauthorizedSSOTokenError() | TokenRetrievalError() | CredentialRetrievalError():
            return f"The AWS credentials could not be refreshed. {_LOG_IN}"
        case ProfileNotFound():
            return f"{error}. List those that exist: aws configure list-profiles"
        case EndpointConnectionError():
            return f"{error}. Check the region (--region) and the network."
        case _:
            return f"AWS request failed: {error}"


def _explain_answer(error: ClientError) -> str:
    code = error.response.get("Error", {}).get("Code", "")
    if code in _EXPIRED:
        return f"The AWS credentials have expired. {_LOG_IN}"
    if code in _INVALID:
        return f"AWS rejects these credentials ({code}). {_LOG_IN}"
    if code.rpartition(".")[2] in _DENIED:
        return (
            f"AWS denied {error.operation_name}: {error.response['Error'].get('Message', code)}\n"
            "Attach the stage's policy for operators (output OperatorsPolicyArn), or choose another --profile."
        )
    return f"AWS request failed: {error}"
