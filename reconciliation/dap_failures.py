"""Turns errors of Instructure's client into failures of a run: those that no repetition mends.

Source: instructure-dap-client 2.3.1, `dap/dap_error.py`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from dap.dap_error import (
    AccountDisabledError,
    AccountNotOnboardedError,
    AccountUnderMaintenanceError,
    NotFoundError,
    OutOfRangeError,
    RequestTypeForbiddenError,
    SnapshotRequiredError,
    ValidationError,
)

from reconciliation.failure import (
    STAGE_OPTION,
    AccountNotEnabled,
    JobFailed,
    RequestTypeForbidden,
    SnapshotRequired,
    UnderMaintenance,
)

ANOTHER_RUN = f"Start another run: ops reconcile {STAGE_OPTION}, or ops backfill {STAGE_OPTION} if this was one."

_UUID = re.compile(r"[0-9a-fA-F-]{32,36}")


@contextmanager
def run_failures(table: str) -> Iterator[None]:
    """Raise, for each error of the client that no repetition mends, the failure of a run that asked for `table`."""
    try:
        yield
    except (SnapshotRequiredError, OutOfRangeError):
        raise SnapshotRequired(
            f"Canvas Data 2 has reloaded table {table}, so that what changed cannot be told apart: "
            f"run ops backfill {STAGE_OPTION}"
        ) from None
    except AccountUnderMaintenanceError:
        raise UnderMaintenance(
            "Canvas Data 2 is under maintenance for this account. The next run of the schedule tries again; "
            f"or, later: ops reconcile {STAGE_OPTION}"
        ) from None
    except RequestTypeForbiddenError:
        raise RequestTypeForbidden(
            f"Canvas Data 2 forbids this account this kind of query of table {table} (all rows, or those that "
            "changed). Ask Instructure's support to allow it."
        ) from None
    except (AccountDisabledError, AccountNotOnboardedError) as error:
        raise AccountNotEnabled(
            f"Canvas Data 2 does not serve this account ({type(error).__name__}). Ask Instructure to enable it, "
            "or remove the reconciliation table of this stage from stages.toml."
        ) from None
    except NotFoundError:
        raise JobFailed(
            f"Canvas Data 2 knows no table {table}, or no longer has its job: it keeps them for a day. {ANOTHER_RUN}"
        ) from None
    except ValidationError as error:
        raise JobFailed(
            f"Canvas Data 2 does not understand the query of table {table}. Is a newer release of this project out? "
            f"Otherwise ask Instructure's support about error {error_number(error.uuid)}."
        ) from None


def error_number(text: object) -> str:
    """The number by which Instructure finds an error, where `text` is one."""
    return text if isinstance(text, str) and _UUID.fullmatch(text) else "(without a number)"
