"""The reconciliation is optional: its settings add resources to a stage and change none of the event path."""

import ast
import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from aws_cdk import App
from aws_cdk.assertions import Annotations, Match

from infra.app import build
from reconciliation import handlers
from tests.infra.conftest import CANVAS_DATA_SECRET, CANVAS_SECRET, RECONCILED
from tests.infra.templates import of_type, run_functions

FUNCTIONS = {
    *("compare", "compare_imports", "conclude", "decide", "poll", "publish", "request"),
    *("run_monitor", "unfinished_imports"),
}
# Resources of every stage to which the reconciliation adds something.
EXTENDED = {"MonitoringDashboard242C9864", "OperatorsPolicy0178DE48"}


def test_a_stage_without_the_settings_has_nothing_of_it(prod):
    for template in (prod.data, prod.pipeline):
        assert "econcil" not in json.dumps(template)
        kinds = {resource["Type"] for resource in template["Resources"].values()}
        assert not {kind for kind in kinds if re.match("AWS::(S3|Scheduler|StepFunctions)::", kind)}


def test_a_stage_with_the_settings_has_all_that_it_had_and_more(prod, reconciled):
    # GIVEN the same stage with and without them
    before, after = prod.pipeline, reconciled.pipeline

    # THEN the data stack is the same
    assert reconciled.data == prod.data
    # AND in the pipeline, only the dashboard and the policy of operators are changed
    added = after["Resources"].keys() - before["Resources"].keys()
    unchanged = {name: resource for name, resource in after["Resources"].items() if name not in added | EXTENDED}
    assert unchanged == {name: before["Resources"][name] for name in before["Resources"] if name not in EXTENDED}
    # AND all added resources belong to the reconciliation
    alarms = {"DriftFound", "HourlyErrors", "RunFailed", "RunOverdue"}
    prefixes = ("Reconciliation", *(f"MonitoringAlarms{alarm}" for alarm in alarms))
    assert [name for name in added if not name.startswith(prefixes)] == []
    assert after["Outputs"].keys() - before["Outputs"].keys() == {"ReconciliationStateMachineArn"}


def test_the_asset_of_the_event_path_is_the_same_with_and_without(prod, reconciled):
    # GIVEN the functions of the event path, and those of the reconciliation
    def assets(template, package):
        functions = of_type(template, "AWS::Lambda::Function").values()
        return {json.dumps(f["Code"], sort_keys=True) for f in functions if f["Handler"].startswith(f"{package}.")}

    # THEN each package has one asset, and that of the event path is unchanged
    (event_path,) = assets(prod.pipeline, "functions")
    assert assets(reconciled.pipeline, "functions") == {event_path}
    assert len(assets(reconciled.pipeline, "reconciliation")) == 1
    assert assets(prod.pipeline, "reconciliation") == set()


def test_every_handler_has_a_function_and_every_function_a_handler(reconciled):
    files = {path.stem for path in Path(handlers.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == run_functions(reconciled.pipeline).keys() == FUNCTIONS


def tree_of(module):
    """Syntax tree of a module."""
    spec = find_spec(module)
    assert spec
    assert spec.origin
    return ast.parse(Path(spec.origin).read_text())


def settings_in(tree):
    """Names in the calls `setting("…")`."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "setting")
    return {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}


def settings_read_by(module, seen):
    """Names of the settings that a module reads, directly or in the project modules that it imports."""
    if module in seen or not module.startswith(("reconciliation", "functions.")):
        return set()
    seen.add(module)
    tree = tree_of(module)
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return settings_in(tree).union(*(settings_read_by(name, seen) for name in imported))


@pytest.mark.parametrize("step", sorted(FUNCTIONS))
def test_a_function_is_given_what_its_handler_reads(reconciled, step):
    # GIVEN the settings that a handler reads directly, and those of its imports
    module = f"reconciliation.handlers.{step}"
    everything = settings_read_by(module, set())
    itself = settings_in(tree_of(module))
    _, function = run_functions(reconciled.pipeline)[step]
    given = set(function["Environment"]["Variables"])

    # THEN it has all of the former, only settings of the latter, and the metrics namespace and stage
    of_tables = {"ENROLLMENTS_TABLE", "SIS_BATCHES_TABLE"}  # whose variables have their names in a table of `summary`
    assert itself <= given
    assert given - everything - of_tables <= {"METRICS_NAMESPACE"}


def test_the_functions_have_the_settings_of_the_stage(changed):
    # GIVEN settings that all differ from the defaults
    variables: dict[str, list[object]] = {}
    for _, function in run_functions(changed.pipeline).values():
        for name, value in function["Environment"]["Variables"].items():
            variables.setdefault(name, []).append(value)

    # THEN every function that reads one has it, and the two publishers share the rate limit
    expected = {
        "CANVAS_URL": "https://canvas.example.edu",
        "CANVAS_DATA_URL": "https://data.example.edu",
        "CANVAS_SECRET_ARN": CANVAS_SECRET,
        "CANVAS_DATA_SECRET_ARN": CANVAS_DATA_SECRET,
        "ROOT_ACCOUNT_ID": "21070000000000001",
        "WINDOW_DAYS": "30",
        "MARGIN_HOURS": "12",
        "CORRECTION_LIMIT": "7",
        "CORRECTION_LIMIT_PERCENT": "1",
        "CORRECTIONS_PER_SECOND": "25",
        "METRICS_NAMESPACE": "CanvasLiveState/prod",
    }
    for name, value in expected.items():
        assert set(variables[name]) == {value}
    assert len(variables["METRICS_NAMESPACE"]) == len(FUNCTIONS)


def test_publishing_watches_the_queues_that_corrections_pass(reconciled):
    _, publish = run_functions(reconciled.pipeline)["publish"]
    urls = publish["Environment"]["Variables"]["QUEUE_URLS"]["Fn::Join"][1]
    queues = [re.sub(r"Queue[0-9A-F]{8}$", "", url["Ref"]) for url in urls if isinstance(url, dict)]
    assert queues == ["EnrollmentUpdated", "EnrollmentStateUpdated", "SisBatchUpdated"]
    assert [separator for separator in urls if isinstance(separator, str)] == [" ", " "]


def test_no_secret_is_in_a_template(reconciled):
    # GIVEN all references to secrets in a template
    text = json.dumps(reconciled.pipeline)

    # THEN they are ARNs, and not dynamic references, which CloudFormation would resolve
    assert "{{resolve:" not in text
    named = {"secret:canvas-AbCdEf", "secret:canvas-data", "secret:canvas-data-??????"}
    assert set(re.findall(r"secret:[\w/+=.@?-]+", text)) == named


def test_functions_have_the_time_memory_and_disk_that_they_need(reconciled):
    sizes = {}
    for step, (_, function) in run_functions(reconciled.pipeline).items():
        assert function["Timeout"] == 900
        sizes[step] = (function["MemorySize"], function.get("EphemeralStorage", {}).get("Size", 512))
    # One CPU for parsing rows, and disk space for the names of all users.
    assert sizes.pop("compare") == (1769, 512)
    assert sizes.pop("decide") == (1769, 10240)
    assert set(sizes.values()) == {(512, 512)}


@pytest.mark.parametrize("stage", ["reconciled", "changed"])
def test_the_bucket_is_private_encrypted_open_to_tls_only_empties_itself_and_is_retained(stage, request):
    # Even in a stage that does not keep its data.
    stage = request.getfixturevalue(stage).pipeline
    ((logical_id, bucket),) = (item for item in stage["Resources"].items() if item[1]["Type"] == "AWS::S3::Bucket")

    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert properties["LifecycleConfiguration"]["Rules"] == [
        {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}, "ExpirationInDays": 3, "Status": "Enabled"}
    ]
    # Versions would not expire, and a fixed name would block the next deployment.
    assert not {"VersioningConfiguration", "BucketName"} & properties.keys()
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    ((policy,),) = (
        policy["PolicyDocument"]["Statement"]
        for policy in of_type(stage, "AWS::S3::BucketPolicy").values()
        if policy["Bucket"] == {"Ref": logical_id}
    )
    assert (policy["Effect"], policy["Action"], policy["Principal"]) == ("Deny", "s3:*", {"AWS": "*"})
    assert policy["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def schedules(template):
    """Schedules by target: a step, or the run."""
    steps = {logical_id: step for step, (logical_id, _) in run_functions(template).items()}
    return {
        steps.get(schedule["Target"]["Arn"].get("Fn::GetAtt", [None])[0], "run"): schedule
        for schedule in of_type(template, "AWS::Scheduler::Schedule").values()
    }


def test_a_run_starts_every_day_and_two_functions_every_hour(reconciled):
    found = schedules(reconciled.pipeline)
    assert found.keys() == {"run", "run_monitor", "unfinished_imports"}
    assert {schedule["State"] for schedule in found.values()} == {"ENABLED"}

    run = found["run"]
    assert run["ScheduleExpression"] == "rate(1 day)"
    assert run["FlexibleTimeWindow"]["Mode"] == "FLEXIBLE"
    assert json.loads(run["Target"]["Input"]) == {"full": False, "dry_run": False, "expected": False}
    assert found["run_monitor"]["ScheduleExpression"] == "cron(15 * * * ? *)"
    assert found["unfinished_imports"]["ScheduleExpression"] == "cron(45 * * * ? *)"
    for step in ("run_monitor", "unfinished_imports"):
        # A missed invocation is not repeated: the next one is an hour later.
        assert found[step]["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] == 3600


def test_the_time_between_two_runs_is_a_setting(changed):
    run = schedules(changed.pipeline)["run"]
    assert run["ScheduleExpression"] == "rate(36 hours)"
    # Maximum of EventBridge Scheduler.
    assert run["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] == 24 * 3600


def test_runs_are_numbered_by_a_parameter_of_the_stage(reconciled):
    _, request = run_functions(reconciled.pipeline)["request"]
    parameter = request["Environment"]["Variables"]["RUN_NUMBER_PARAMETER"]["Ref"]
    properties = of_type(reconciled.pipeline, "AWS::SSM::Parameter")[parameter]
    assert (properties["Name"], properties["Type"]) == ("/canvas-live-state/prod/reconciliation-run", "String")


def test_operators_and_readers_find_the_state_machine(reconciled):
    (machine,) = of_type(reconciled.pipeline, "AWS::StepFunctions::StateMachine")
    assert reconciled.pipeline["Outputs"]["ReconciliationStateMachineArn"]["Value"] == {"Ref": machine}
    parameters = of_type(reconciled.pipeline, "AWS::SSM::Parameter").values()
    names = {parameter["Name"]: parameter["Value"] for parameter in parameters}
    assert names["/canvas-live-state/prod/reconciliation-state-machine-arn"] == {"Ref": machine}


def test_on_the_emulator_nothing_starts_by_itself_and_nothing_asks_for_tls(local):
    assert {schedule["State"] for schedule in schedules(local.pipeline).values()} == {"DISABLED"}
    assert of_type(local.pipeline, "AWS::S3::BucketPolicy") == {}
    assert "aws:SecureTransport" not in str(local.pipeline)


def test_a_local_stage_is_compared_with_the_double_that_the_context_names(local):
    variables = [function["Environment"]["Variables"] for _, function in run_functions(local.pipeline).values()]
    urls = {given[name] for given in variables for name in ("CANVAS_URL", "CANVAS_DATA_URL") if name in given}
    assert urls == {"http://127.0.0.1:4711"}


def test_removing_the_reconciliation_blocks_no_deployment(prod, reconciled):
    # It exports nothing, and imports only what every stage exports.
    def exports(template):
        return {output["Export"]["Name"] for output in template.get("Outputs", {}).values() if "Export" in output}

    assert exports(reconciled.pipeline) == set()
    assert exports(reconciled.data) == exports(prod.data)


def test_it_is_synthesised_without_a_finding():
    app = App(context={"aws:cdk:bundling-stacks": []})
    for stack in build(app, RECONCILED):
        assert Annotations.from_stack(stack).find_error("*", Match.any_value()) == []
