"""Failures of a reconciliation run. The name of a class is the name of the error in Step Functions.

Each text says what is wrong, where, and what to do. It contains no personal data, no token and no URL.
"""

STAGE_OPTION = "--stage STAGE"
"""The option of a command in a text. `reconciliation.step` fills in the name of the stage."""


class RunFailed(Exception):
    """Raised where the step cannot succeed if it is retried."""


class TemporaryFailure(RunFailed):
    """Raised where the step may succeed later, so that the state machine retries it."""


class PredecessorStillRuns(RunFailed):
    """Raised by a run that started while another was running."""


class SnapshotRequired(RunFailed):
    """Raised where Canvas Data 2 has reloaded a table, so that only a full run can compare it."""


class CredentialsRefused(RunFailed):
    """Raised where a secret is unusable, or Canvas does not accept what it holds."""


class UnderMaintenance(RunFailed):
    """Raised while Canvas Data 2 is being maintained for this account."""


class RequestTypeForbidden(RunFailed):
    """Raised where the account may not ask Canvas Data 2 for this kind of result."""


class AccountNotEnabled(RunFailed):
    """Raised where Canvas or Canvas Data 2 does not serve this account."""


class JobFailed(RunFailed):
    """Raised where Canvas Data 2 cannot make the result."""


class JobsTimedOut(RunFailed):
    """Raised where Canvas Data 2 has not made the result in time."""


class UnknownRun(RunFailed):
    """Raised where `--force` names a run that has no report."""


class PartUnreadable(RunFailed):
    """Raised for an object of the result that is truncated, corrupt or missing."""


class TooManyCorrections(RunFailed):
    """Raised where the corrections exceed their limit; nothing is published."""


class LakeContradicts(RunFailed):
    """Raised where the result lacks changes that it must contain, so that none of it is reliable."""


class CorrectionRefused(RunFailed):
    """Raised for a correction that the event bus rejects as malformed."""
