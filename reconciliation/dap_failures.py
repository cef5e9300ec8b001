"""Maps permanent errors of the client of Canvas Data 2 to failures of a run.

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
    """A context that raises permanent errors of the client, in a request for `table`, as failures of the run."""
    try:
        yield
    except (SnapshotRequiredError, OutOfRangeError):
        raise SnapshotRequired(
            f"Canvas Data 2 has reloaded table {table}, so that its changes cannot be queried: "
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
            f"Canvas Data 2 has no table {table}, or no longer has its job: it keeps jobs for a day. {ANOTHER_RUN}"
        ) from None
    except ValidationError as error:
        raise JobFailed(
            f"Canvas Data 2 rejects the query of table {table} as invalid. Install a newer release of this project, or "
            f"ask Instructure's support about error {error_number(error.uuid)}."
        ) from None


def error_number(text: object) -> str:
    """The id of an error, by which Instructure's support finds it, where `text` is one."""
    return text if isinstance(text, str) and _UUID.fullmatch(text) else "(without a number)"
