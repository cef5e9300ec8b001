"""Starts MiniStack with one correction: the type of a function's error is the name of its exception's class.

AWS Lambda reports that name, and Step Functions retries and catches by it. MiniStack 1.5.33 reports
`Runtime.HandlerError` for every exception. The Python of the emulator runs this file in place of `-m ministack`.
"""

from typing import Any

from ministack.app import main
from ministack.core import lambda_runtime
from ministack.services import lambda_svc

_REPORT = '"error": str(e), "trace"'
_SEPARATOR = "\N{INFORMATION SEPARATOR ONE}"
_execute = lambda_svc._execute_function_warm  # noqa: SLF001


def _execute_with_error_type(function: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
    result: dict[str, Any] = _execute(function, event, request_id)
    if result.get("error"):
        error = result["body"]
        kind, separator, message = error["errorMessage"].partition(_SEPARATOR)
        if separator:
            error.update(errorType=kind, errorMessage=message)
    return result


worker = lambda_runtime._PYTHON_WORKER_SCRIPT  # noqa: SLF001
if worker.count(_REPORT) != 1:
    raise SystemExit("This MiniStack reports errors otherwise than 1.5.33 does: change ops/local to suit it.")
lambda_runtime._PYTHON_WORKER_SCRIPT = worker.replace(  # noqa: SLF001
    _REPORT, f'"error": type(e).__name__ + {_SEPARATOR!r} + str(e), "trace"'
)
lambda_svc._execute_function_warm = _execute_with_error_type  # noqa: SLF001
main()
