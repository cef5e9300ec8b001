"""Why a run of the reconciliation ends without its result. The name of a class is the error's name in Step Functions.

Each text says what is wrong, where, and what to do. It holds no value of a student, no token and no URL.
"""

STAGE_OPTION = "--stage STAGE"
"""What follows a command in a text: `reconciliation.step` knows the stage and writes its name."""


class RunFailed(Exception):
    """Raised where repeating the step would not help."""


class TemporaryFailure(RunFailed):
    """Raised where the step may succeed later: the state machine repeats it."""


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
    """Raised where Canvas Data 2 takes too long to make the result."""


class UnknownRun(RunFailed):
    """Raised where `--force` names a run that has no report."""


class PartUnreadable(RunFailed):
    """Raised for an object of the result that is truncated, corrupt, or no longer there."""


class TooManyCorrections(RunFailed):
    """Raised where more would be corrected than anybody expects; nothing is published."""


class LakeContradicts(RunFailed):
    """Raised where the result lacks what it is known to have, so that nothing of it can be trusted."""


class CorrectionRefused(RunFailed):
    """Raised for a correction that the event bus can never accept."""
