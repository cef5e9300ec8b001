"""The AWS session of a command: its credentials and its region."""

import os

import boto3

from infra.settings import Settings
from ops.failure import OperatorError

_ENDPOINT = "AWS_ENDPOINT_URL"
EMULATOR_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


def open_session(settings: Settings, *, profile: str | None = None, region: str | None = None) -> boto3.Session:
    """Open a session for the deployed stage of `settings`.

    The region is `region`, otherwise that of the stage, otherwise that of the shell: `AWS_REGION` first, as in the CDK.

    Raises:
        OperatorError: the shell points at the emulator, no region is known, or the credentials are of another account.
    """
    _refuse_emulator(settings.stage)
    session = boto3.Session(
        profile_name=profile, region_name=region or settings.region or os.environ.get("AWS_REGION") or None
    )
    if session.region_name is None:
        raise OperatorError(
            f"No region is known for stage {settings.stage}. Name it with --region, or set `region` in stages.toml."
        )
    if settings.account is not None:
        _refuse_other_account(session, settings)
    return session


def _refuse_emulator(stage: str) -> None:
    """Refuse a shell that has sourced `.local/env`, whose requests would not reach AWS."""
    endpoints = [name for name in os.environ if name.startswith(_ENDPOINT)]
    if not endpoints:
        return
    others = [name for name, value in EMULATOR_CREDENTIALS.items() if os.environ.get(name) == value]
    if others:
        others += [name for name in _REGIONS if name in os.environ]
    raise OperatorError(
        f"This shell points at the emulator, and stage {stage} is on AWS. Leave the emulator: "
        f"unset {' '.join(sorted([*endpoints, *others]))}"
    )


def _refuse_other_account(session: boto3.Session, settings: Settings) -> None:
    account = session.client("sts").get_caller_identity()["Account"]
    if account != settings.account:
        raise OperatorError(
            f"The credentials are of account {account}, and stage {settings.stage} is in account "
            f"{settings.account} (stages.toml). Choose others with --profile, or: export AWS_PROFILE=…"
        )
