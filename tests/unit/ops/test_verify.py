"""A deployment is verified by events; each fault of one is found, named, and said how to repair."""

import io
import json
import re
import time

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from functions.routes import EVENT_NAMES
from ops.failure import OperatorError
from ops.stacks import Stack
from ops.verify import delivery
from ops.verify.report import Result, checks_table, what_to_do
from ops.verify.run import Options, aftermath, verify
from ops.waiting import seconds_of
from tests.unit.ops.pipeline import MemoryReader, Pipeline
from tests.unit.ops.stages import OUTPUTS, MadeUpStage, ScriptedClient, made_up_stage

SCHOOL = "21070000000000001"
UPDATED, CREATED = "21079999999999999", "21079999999999998"
IMPORT = ("21079999999999999", "9999999999999")
PAGE, NOTIFY = OUTPUTS["PageTopicArn"], OUTPUTS["NotifyTopicArn"]
AT_ONCE = Options(timeout_seconds=0)


class Deployment:
    """A stage that is deployed as it should be. A test breaks it."""

    def __init__(self):
        self.pipeline = Pipeline()
        self.settings = {"root_account_ids": (SCHOOL,), "page_emails": ("oncall@example.edu",)}
        self.archive = {
            "ArchiveArn": "arn:aws:events:us-east-1:123456789012:archive/archive",
            "EventSourceArn": "bus",
            "State": "ENABLED",
            "RetentionDays": 30,
            "EventPattern": json.dumps({"account": ["123456789012"]}),
        }
        self.mapping = {"UUID": "uuid", "State": "Enabled", "FunctionResponseTypes": ["ReportBatchItemFailures"]}
        self.subscriptions = {
            PAGE: [{"Endpoint": "oncall@example.edu", "SubscriptionArn": "arn:page:1"}],
            NOTIFY: [{"Endpoint": "team@example.edu", "SubscriptionArn": "arn:notify:1"}],
        }
        self.alarms = [
            {"AlarmName": "page-alarm", "AlarmActions": [PAGE], "StateValue": "OK"},
            {"AlarmName": "notify-alarm", "AlarmActions": [NOTIFY], "StateValue": "INSUFFICIENT_DATA"},
        ]
        self.history = [{"HistorySummary": f"Successfully executed action {PAGE}"}]
        self.alarm_states = []
        self.stack_state = "UPDATE_COMPLETE"
        self.reader = MemoryReader(self.pipeline)

    @property
    def stage(self):
        pipeline = self.pipeline

        def test_event_pattern(*, EventPattern, Event):  # noqa: N803
            pattern, event = json.loads(EventPattern), json.loads(Event)
            return {"Result": all(event[name] in values for name, values in pattern.items())}

        clients = {
            "sqs": pipeline.sqs,
            "events": ScriptedClient(
                describe_event_bus={"Arn": "bus"},
                list_archives=lambda **_: {"Archives": [{"ArchiveName": "archive"}] if self.archive else []},
                describe_archive=lambda **_: self.archive,
                test_event_pattern=test_event_pattern,
            ),
            "lambda": ScriptedClient(list_event_source_mappings=lambda **_: {"EventSourceMappings": [self.mapping]}),
            "sns": ScriptedClient(
                list_subscriptions_by_topic=lambda *, TopicArn: {"Subscriptions": self.subscriptions[TopicArn]}  # noqa: N803
            ),
            "cloudwatch": ScriptedClient(
                describe_alarms=lambda **_: {"MetricAlarms": self.alarms},
                set_alarm_state=lambda **request: self.alarm_states.append(
                    (request["AlarmName"], request["StateValue"])
                ),
                describe_alarm_history=lambda **_: {"AlarmHistoryItems": self.history},
            ),
        }
        stage = made_up_stage(clients=clients, **self.settings)
        vars(stage).update(reader=self.reader, queues=pipeline.queues)
        return stage

    def verify(self, options=AT_ONCE):
        """The checks by name."""
        return {check.name: check for check in verify(self.stage, options, report=lambda _: None)}

    def failures(self, options=AT_ONCE):
        """The checks that are not OK, by name."""
        return {name: check for name, check in self.verify(options).items() if check.result is not Result.OK}


@pytest.fixture
def deployment(monkeypatch):
    deployment = Deployment()
    monkeypatch.setattr(MadeUpStage, "stack", lambda _, part: Stack(part, deployment.stack_state))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(delivery, "_EVENTS_PER_SECOND", 100_000)
    return deployment


def test_a_good_deployment_passes_and_its_reserved_items_end_as_deleted(deployment):
    # WHEN a good deployment is verified
    checks = deployment.verify()

    # THEN every check passes, and there is one for each function
    assert {check.result for check in checks.values()} == {Result.OK}, deployment.failures()
    assert {f"delivery: {name}" for name in EVENT_NAMES} <= checks.keys()

    # THEN only the reserved keys were touched, which end as deleted and imported, and no dead letter is left
    items = deployment.pipeline.items
    assert items.keys() == {(UPDATED,), (CREATED,), IMPORT}
    for key in (UPDATED, CREATED):
        assert (items[key,]["workflow_state"], items[key,]["state"]) == ("deleted", "deleted")
    assert items[IMPORT]["workflow_state"] == "imported"
    assert deployment.pipeline.sqs.bodies("SisBatchUpdatedDeadLetters") == []


def test_every_event_is_marked_and_they_come_out_of_order_and_twice(deployment):
    deployment.verify()
    sent = deployment.pipeline.sent
    assert {message["metadata"]["producer"] for message in sent} == {"canvas-live-state-verify"}
    assert {message["metadata"]["event_name"] for message in sent} == EVENT_NAMES
    times = [message["metadata"]["event_time"] for message in sent]
    assert times != sorted(times)
    assert len({json.dumps(message) for message in sent}) < len(sent)
    assert sum("root_account_id" not in message["metadata"] for message in sent) == 1


def test_a_second_run_proves_the_functions_anew(deployment):
    # GIVEN a run that passed, and a function that is broken since
    deployment.verify()
    deployment.pipeline.broken = {"enrollment_updated"}

    # WHEN it is run again, THEN what the first run wrote does not hide it
    assert "delivery: enrollment_updated" in deployment.failures()


@pytest.mark.parametrize("event_name", sorted(EVENT_NAMES))
def test_a_function_that_does_not_write_is_named(deployment, event_name):
    # GIVEN one function that does nothing, and a message that waits
    deployment.pipeline.broken = {event_name}
    deployment.pipeline.sqs.put("IngestionQueue", "{}")

    # WHEN the stage is verified, THEN it is named, with where messages wait, and what to run
    failures = deployment.failures()
    assert {name for name in failures if name.startswith("delivery")} == {f"delivery: {event_name}"}
    check = failures[f"delivery: {event_name}"]
    assert "not in the table after 0 seconds; messages: 1 in IngestionQueue" in check.found
    assert "ops status --stage test" in check.cure

    # THEN the enrollments were asked to end as deleted all the same
    assert [message["body"].get("workflow_state") for message in deployment.pipeline.sent].count("deleted") == 2
    assert "deletion" in failures


def test_a_missing_dead_letter_is_found(deployment):
    deployment.pipeline.rejects = False
    check = deployment.failures()["dead letter of the invalid event"]
    assert "not in the dead-letter queue of sis_batch_updated" in check.found
    assert "ops redrive --stage test --dry-run" in check.cure


def test_a_dead_letter_with_another_reason_is_found(deployment, monkeypatch):
    monkeypatch.setattr(delivery, "INVALID_REASON", "something else")
    assert "has the reason: RejectedEvent sis_batch" in deployment.failures()["dead letter of the invalid event"].found


def test_no_other_dead_letter_is_touched(deployment):
    # GIVEN dead letters of others: of Canvas, of an earlier run, and one that is no event
    sqs, queue = deployment.pipeline.sqs, "SisBatchUpdatedDeadLetters"
    deployment.verify()
    earlier = json.dumps({"detail": deployment.pipeline.sent[0]})
    for body in (json.dumps({"detail": {"metadata": {}}}), earlier, "[1]", "not JSON"):
        sqs.put(queue, body, error="RejectedEvent", reason="why")

    # WHEN the stage is verified, THEN all of them are there, visible
    assert deployment.failures() == {}
    assert len(sqs.bodies(queue)) == 4


def test_an_index_that_does_not_follow_is_found(deployment):
    deployment.reader.roster_lags = True
    assert deployment.failures().keys() == {"index by_course", "index by_user"}


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (None, "does not exist, and stages.toml says archive_days = 30"),
        ({"State": "DISABLED"}, "is DISABLED (no reason given): it keeps no event"),
        ({"State": "CREATE_FAILED", "StateReason": "key"}, "is CREATE_FAILED (key)"),
        ({"RetentionDays": 7}, "keeps events for 7 days, and stages.toml says 30"),
        ({"EventPattern": '{"source": ["canvas"]}'}, "its pattern leaves out canvas-live-state enrollment_created"),
        ({"EventPattern": '{"account": ["1"]}'}, "its pattern leaves out canvas enrollment_created"),
    ],
)
def test_an_archive_that_would_not_replay_everything_is_found(deployment, archive, words):
    deployment.archive = archive and deployment.archive | archive
    failures = deployment.failures()
    assert failures.keys() == {"archive"}
    assert words in failures["archive"].found
    assert "make deploy STAGE=test" in failures["archive"].cure


def test_a_stage_without_an_archive_is_as_its_settings_say(deployment):
    deployment.archive = None
    deployment.settings["archive_days"] = 0
    assert deployment.failures() == {}


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"State": "Disabled"}, "IngestionQueue is not polled: the mapping uuid is Disabled"),
        ({"FunctionResponseTypes": []}, "without ReportBatchItemFailures (uuid): failed messages would be lost"),
    ],
)
def test_a_mapping_that_loses_or_stops_messages_is_found(deployment, mapping, words):
    deployment.mapping |= mapping
    failures = deployment.failures()
    assert failures.keys() == {"event source mappings"}
    assert words in failures["event source mappings"].found


def test_recipients_who_would_not_be_reached_are_found(deployment):
    # GIVEN an address that has not confirmed, and one that is not subscribed any more
    deployment.subscriptions[NOTIFY][0]["SubscriptionArn"] = "PendingConfirmation"
    deployment.subscriptions[PAGE][0]["SubscriptionArn"] = "Deleted"

    # WHEN the stage is verified, THEN both are named, with the command that has the mail sent again
    failures = deployment.failures()
    assert failures["recipients of notify alarms"].found == "not confirmed: team@example.edu"
    assert failures["recipients of page alarms"].found == "not subscribed: oncall@example.edu"
    assert "aws sns subscribe --topic-arn" in failures["recipients of page alarms"].cure


def test_a_mute_stage_is_a_warning(deployment):
    deployment.subscriptions[NOTIFY] = []
    (check,) = deployment.failures().values()
    assert (check.result, check.found) == (Result.WARNING, "none: these alarms have no recipient")


def test_a_stack_that_failed_half_way_is_found_and_the_rest_is_checked(deployment):
    deployment.stack_state = "UPDATE_ROLLBACK_FAILED"
    failures = deployment.failures()
    assert failures.keys() == {"stack data", "stack pipeline"}
    assert "continue-update-rollback" in failures["stack data"].cure


def test_what_aws_denies_is_a_failed_check_and_the_rest_is_checked(deployment):
    denied = ClientError({"Error": {"Code": "AuthorizationError", "Message": "why"}}, "ListSubscriptionsByTopic")

    class Denying(dict[str, object]):
        def __missing__(self, _):
            raise denied

    deployment.subscriptions = Denying()
    failures = deployment.failures()
    assert failures.keys() == {"recipients of alarms"}
    assert "ListSubscriptionsByTopic" in failures["recipients of alarms"].cure


def test_a_frozen_environment_is_tried_again_with_one_event_of_each_kind(deployment):
    # WHEN a good deployment is verified again after a pause, THEN there is a check for each function
    checks = deployment.verify(Options(timeout_seconds=0, again_after_seconds=900))
    assert {f"after the pause: {name}" for name in EVENT_NAMES} <= checks.keys()
    assert deployment.pipeline.items[UPDATED,]["workflow_state"] == "deleted"
    assert deployment.pipeline.items[CREATED,]["state"] == "deleted"


def test_an_alarm_of_each_severity_is_set_off_and_back(deployment):
    # GIVEN an alarm that is in alarm already, before one that is not
    deployment.alarms.insert(0, {"AlarmName": "busy", "AlarmActions": [PAGE], "StateValue": "ALARM"})

    # WHEN the path of the alarms is verified
    checks = deployment.verify(Options(timeout_seconds=0, alarms=True))

    # THEN each was set back to what it was, and the notification to expect is named
    assert deployment.alarm_states == [
        ("page-alarm", "ALARM"),
        ("page-alarm", "OK"),
        ("notify-alarm", "ALARM"),
        ("notify-alarm", "INSUFFICIENT_DATA"),
    ]
    assert checks["page alarm"].result is Result.OK
    assert "expect a notification of page-alarm" in checks["page alarm"].found


def test_a_mute_topic_is_found_by_the_alarms_path(deployment):
    deployment.history = [{"HistorySummary": f"Failed to execute action {PAGE}"}]
    failures = deployment.failures(Options(timeout_seconds=0, alarms=True))
    assert failures.keys() == {"page alarm", "notify alarm"}
    assert "Failed to execute action" in failures["page alarm"].found
    assert "cloudwatch.amazonaws.com" in failures["page alarm"].cure


def test_a_severity_without_an_alarm_is_found(deployment):
    deployment.alarms.pop()
    assert deployment.failures(Options(timeout_seconds=0, alarms=True)).keys() == {"notify alarm"}


def test_the_keys_are_of_the_school_that_is_named(deployment):
    deployment.verify(Options(timeout_seconds=0, root_account_id="21070000000000099"))
    assert deployment.pipeline.items.keys() == {(UPDATED,), (CREATED,), IMPORT}
    assert deployment.pipeline.sent[0]["metadata"]["root_account_id"] == "21070000000000099"


def test_a_stage_that_names_no_school_uses_the_first_shard(deployment):
    deployment.settings["root_account_ids"] = ()
    deployment.verify()
    assert ("19999999999999",) in deployment.pipeline.items


@pytest.mark.parametrize(
    ("root_account_id", "message"),
    [("30000000000001", "would be dropped as foreign"), ("the school", "is a positive number")],
)
def test_a_school_whose_events_are_dropped_is_refused(deployment, root_account_id, message):
    with pytest.raises(OperatorError, match=message):
        deployment.verify(Options(timeout_seconds=0, root_account_id=root_account_id))
    assert deployment.pipeline.sent == []


def test_the_operator_is_told_what_others_see(deployment):
    told = aftermath(deployment.stage, AT_ONCE)
    for name in (UPDATED, CREATED, "/".join(IMPORT), "canvas-live-state-verify", "SisBatchUpdatedDeadLetters"):
        assert name in told


def test_what_to_do_is_said_below_the_table_in_whole_commands(deployment):
    # GIVEN a disabled archive
    deployment.archive["State"] = "DISABLED"
    checks = deployment.verify().values()

    # WHEN the checks are shown on a narrow screen
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(checks_table(checks, title="Stage test"))

    # THEN the table has the result, and the command is in one line
    assert re.search(r"archive +│ FAILED │ is DISABLED", console.export_text())
    assert what_to_do(checks) == "FAILED: archive\n    make deploy STAGE=test"


@pytest.mark.parametrize(("written", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200)])
def test_durations_are_read(written, seconds):
    assert seconds_of("--timeout", written) == seconds


@pytest.mark.parametrize("written", ["15", "m", "", "-1m", "1.5h", "15 min"])
def test_anything_else_is_no_duration(written):
    with pytest.raises(OperatorError, match=r"--timeout is not a duration\. For example: 90s, 15m, 2h"):
        seconds_of("--timeout", written)
