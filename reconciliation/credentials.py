"""Reads the credentials of Canvas Data 2, and the token of Canvas, from Secrets Manager."""

import json

from botocore.exceptions import ClientError

from functions.runtime import error_name
from reconciliation.aws import aws_client
from reconciliation.failure import CredentialsRefused

_UNREADABLE = frozenset({"ResourceNotFoundException", "AccessDeniedException", "DecryptionFailure"})


def read_secret(arn: str, *keys: str) -> dict[str, str]:
    """The values of `keys` in the secret `arn`, a JSON object.

    Raises:
        CredentialsRefused: the secret is missing, is not such an object, or lacks one of the keys.
    """
    shape = json.dumps(dict.fromkeys(keys, "…"), ensure_ascii=False)
    try:
        text = aws_client("secretsmanager").get_secret_value(SecretId=arn).get("SecretString")
    except ClientError as error:
        if error_name(error) not in _UNREADABLE:
            raise
        raise CredentialsRefused(
            f"The secret {arn} cannot be read ({error_name(error)}). Create it with the content {shape}, "
            "or correct its ARN in stages.toml."
        ) from None
    try:
        secret = json.loads(text or "")
    except ValueError:
        secret = None
    if not isinstance(secret, dict):
        raise CredentialsRefused(f"The secret {arn} is not a JSON object. Its content must be {shape}.")
    for key in keys:
        if not (isinstance(secret.get(key), str) and secret[key]):
            raise CredentialsRefused(f"The secret {arn} has no {key}. Its content must be {shape}.")
    return {key: secret[key] for key in keys}
