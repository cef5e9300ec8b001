"""Secrets: read by name, with an error that names the expected keys."""

import boto3
import pytest
from botocore.exceptions import ClientError

from reconciliation.aws import aws_client
from reconciliation.credentials import read_secret
from reconciliation.failure import CredentialsRefused


def make(content):
    return boto3.client("secretsmanager").create_secret(Name="canvas", SecretString=content)["ARN"]


def test_the_named_keys_of_a_secret_are_returned_and_no_other(aws):
    arn = make('{"client_id": "a", "client_secret": "b", "comment": "c"}')
    assert read_secret(arn, "client_id", "client_secret") == {"client_id": "a", "client_secret": "b"}


def test_a_secret_is_read_anew_each_time(aws):
    arn = make('{"token": "old"}')
    read_secret(arn, "token")
    boto3.client("secretsmanager").put_secret_value(SecretId=arn, SecretString='{"token": "new"}')
    assert read_secret(arn, "token") == {"token": "new"}


@pytest.mark.parametrize("content", ["hunter2", '["hunter2"]', '"hunter2"', "null"])
def test_a_secret_that_is_no_json_object_is_refused_without_its_content(aws, content):
    arn = make(content)
    with pytest.raises(CredentialsRefused) as raised:
        read_secret(arn, "client_id", "client_secret")
    assert str(raised.value) == (
        f'The secret {arn} is not a JSON object. Its content must be {{"client_id": "…", "client_secret": "…"}}.'
    )


@pytest.mark.parametrize("value", ['{"other": "hunter2"}', '{"token": ""}', '{"token": 7}', '{"token": null}'])
def test_a_secret_without_a_key_is_refused_by_the_name_of_the_key(aws, value):
    arn = make(value)
    with pytest.raises(CredentialsRefused) as raised:
        read_secret(arn, "token")
    assert str(raised.value) == f'The secret {arn} has no token. Its content must be {{"token": "…"}}.'


def test_a_binary_secret_is_refused(aws):
    boto3.client("secretsmanager").create_secret(Name="binary", SecretBinary=b"{}")
    with pytest.raises(CredentialsRefused, match="The secret binary is not a JSON object"):
        read_secret("binary", "token")


def test_a_secret_that_does_not_exist_is_refused_by_its_arn(aws):
    with pytest.raises(CredentialsRefused) as raised:
        read_secret("absent", "token")
    assert str(raised.value).startswith("The secret absent cannot be read (ResourceNotFoundException). Create it")


def test_an_outage_is_no_refusal(aws, monkeypatch):
    def fails(**_):
        raise ClientError({"Error": {"Code": "InternalServiceError"}}, "GetSecretValue")

    monkeypatch.setattr(aws_client("secretsmanager"), "get_secret_value", fails)
    with pytest.raises(ClientError):
        read_secret("absent", "token")
