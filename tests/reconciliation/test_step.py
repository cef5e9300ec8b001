"""The decorator of a step: raises errors of this project only, without texts of others."""

import json
import traceback

import pytest
from botocore.exceptions import ClientError

from reconciliation import failure
from reconciliation.failure import STAGE_OPTION, PredecessorStillRuns, RunFailed, TemporaryFailure
from reconciliation.step import must_hand_on, now, step
from tests.reconciliation.machine import Context

SECRET = "https://objects.example/part?X-Amz-Signature=agJdJdaSLJfJULBa2803"


def failing(error):
    """A step that raises `error`."""

    @step
    def handler(payload, context):
        private = SECRET
        raise error from ValueError(private)

    return handler


def test_a_step_returns_what_its_function_returns():
    @step
    def handler(payload, context):
        return payload

    assert handler({"run": "a"}, Context()) == {"run": "a"}


def test_our_own_errors_leave_a_step_with_the_stage_in_their_commands(output):
    with pytest.raises(PredecessorStillRuns) as raised:
        failing(PredecessorStillRuns(f"Run ops drift {STAGE_OPTION}, then ops backfill {STAGE_OPTION}"))({}, Context())
    assert str(raised.value) == "Run ops drift --stage test, then ops backfill --stage test"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError(SECRET), "ValueError"),
        (ClientError({"Error": {"Code": "ThrottlingException", "Message": SECRET}}, SECRET), "ThrottlingException"),
        (type("HttpError", (Exception,), {"response": SECRET})(), "HttpError"),
    ],
)
def test_any_other_error_becomes_temporary_and_leaves_its_text_behind(output, caplog, error, kind):
    # WHEN a step fails with an error whose text is private
    with pytest.raises(TemporaryFailure) as raised:
        failing(error)({}, Context())

    # THEN the error in Step Functions and in the log of Lambda has its kind only
    assert str(raised.value).startswith(f"test_step: {kind}. ")
    assert "ops status --stage test" in str(raised.value)
    shown = "".join(traceback.format_exception(raised.value))
    (line,) = output.lines()
    assert SECRET not in shown + line + caplog.text

    # AND the log has its location
    logged = json.loads(line)
    assert (logged["level"], logged["step"], logged["error"]) == ("ERROR", "test_step", kind)
    assert any("test_step.py:" in place and place.endswith(" handler") for place in logged["where"])


def test_every_kind_of_failure_has_a_name_and_a_meaning():
    kinds = [kind for kind in vars(failure).values() if isinstance(kind, type) and issubclass(kind, RunFailed)]
    assert len(kinds) > 10
    assert all((kind.__doc__ or "").startswith("Raised ") for kind in kinds)


def test_the_time_is_in_the_stored_form():
    assert len(now()) == len("2026-01-01T00:00:00.000000Z")
    assert now().endswith("Z")


@pytest.mark.parametrize(("milliseconds", "expected"), [(90_000, False), (89_999, True)])
def test_a_step_hands_on_before_its_time_is_over(milliseconds, expected):
    assert must_hand_on(Context(milliseconds)) is expected
