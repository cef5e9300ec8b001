"""What the documents say is true: their commands run, their links lead somewhere, their lists are complete."""

import json
import os
import re
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta

import pytest

from functions.routes import EVENT_NAMES
from infra.settings import Reconciliation, Settings, stage_settings
from ops.verify.synthetic import PRODUCER, SIS_BATCH_ID, ReservedKeys
from tests.canvas import ROOT
from tests.local_stage import eventually

DOCUMENTS = [
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
DATA_MODEL, DEPLOYMENT, OPERATIONS = (
    ROOT / "docs" / f"{name}.md" for name in ("data-model", "deployment", "operations")
)
SOURCES = [
    ROOT / "stages.toml",
    *(path for folder in ("functions", "infra", "ops", "reconciliation") for path in (ROOT / folder).rglob("*.py")),
]


def text_of(document, title=None):
    """The text of `document`, or of its section `title` with all that is below it."""
    text = document.read_text()
    if title is None:
        return text
    level, start = next((heading[1], heading.end()) for heading in headings(text) if heading[2] == title)
    ends = [heading.start() for heading in headings(text) if heading.start() > start and len(heading[1]) <= len(level)]
    return text[start : ends[0] if ends else None]


def headings(text):
    """The headings of `text`, as matches of their number signs and their title."""
    fenced = [match.span() for match in re.finditer(r"^( *)```.*?^\1```$", text, re.MULTILINE | re.DOTALL)]
    found = re.finditer(r"^(#+) (.+)$", text, re.MULTILINE)
    return [match for match in found if not any(start < match.start() < end for start, end in fenced)]


def anchors(document):
    """The anchors of the sections of `document`."""
    return {re.sub(r"[^a-z0-9]+", "-", heading[2].lower()).strip("-") for heading in headings(document.read_text())}


def blocks(text, language):
    """The fenced blocks of `language` in `text`."""
    fenced = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, of_language, block in fenced if of_language == language]


def rows(text):
    """The rows of the tables in `text` whose first cell is code, by that code: the other cells."""
    cells = (re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if line.startswith("| `"))
    return {name: rest for first, *rest in cells for name in re.findall(r"`([^`]+)`", first)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_inside_the_repository_leads_somewhere(document):
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", document.read_text()):
        linked = document.parent / target if target else document
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), f"{target}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(document):
    for target in set(re.findall(r"\bmake ([a-z]+)\b(?= STAGE|\s*#|`)", document.read_text())):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_every_anchor_that_an_error_names_is_a_section():
    named = {
        (ROOT / document, anchor)
        for path in SOURCES
        for document, anchor in re.findall(r"(docs/[a-z-]+\.md)#([a-z-]+)", path.read_text())
    }
    assert named
    for document, anchor in named:
        assert anchor in anchors(document), f"{document.name}#{anchor}"


def test_the_data_model_names_every_attribute():
    schemas = [json.loads(path.read_text()) for path in (ROOT / "docs" / "schemas").glob("*.json")]
    documented = set(re.findall(r"`([a-z_]+)`", text_of(DATA_MODEL)))
    assert {name for schema in schemas for name in schema["properties"]} <= documented


def test_the_data_model_names_every_parameter(prod):
    published = {
        resource["Properties"]["Name"].removeprefix("/canvas-live-state/prod/")
        for template in (prod.data, prod.pipeline)
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::SSM::Parameter"
    }
    assert rows(text_of(DATA_MODEL, "Names")).keys() == published


def test_the_data_model_names_the_reserved_keys():
    keys = ReservedKeys("21070000000000001")
    reserved = text_of(DATA_MODEL, "Reserved keys")
    assert all(f"`{key}`" in reserved for key in (*keys.enrollments, keys.last, SIS_BATCH_ID, PRODUCER))


def test_every_setting_of_a_stage_is_documented_with_its_default():
    defaults = {name: field.default for name, field in Settings.model_fields.items() if name != "stage"}
    documented = {name: default.strip("`") for name, (default, *_) in rows(text_of(DEPLOYMENT, "Stages")).items()}
    assert documented == {name: written(default) for name, default in defaults.items()}


def test_every_setting_of_a_reconciliation_is_documented_with_its_default():
    documented = {
        name: default.strip("`") for name, (default, *_) in rows(text_of(DEPLOYMENT, "Reconciliation")).items()
    }
    settings = Reconciliation.model_fields.items()
    assert documented.keys() == dict(settings).keys()
    for name, field in settings:
        expected = "required" if field.is_required() else str(field.default)
        assert documented[name] == ("Instructure's" if name == "canvas_data_url" else expected)


def written(default):
    """The text of a default, as the guide writes it."""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:,}" if isinstance(default, int) else str(default or "none")


@pytest.mark.parametrize(("section", "stage"), [("Stages", "beta"), ("Reconciliation", "prod")])
def test_the_examples_of_stages_can_be_deployed(section, stage, tmp_path):
    (example,) = blocks(text_of(DEPLOYMENT, section), "toml")
    file = tmp_path / "stages.toml"
    file.write_text(example)
    assert stage_settings(stage, file).stage == stage


def test_the_readme_names_every_event():
    assert set(re.findall(r"`((?:enrollment|sis)_[a-z_]+ed)`", (ROOT / "README.md").read_text())) == EVENT_NAMES


@pytest.mark.slow
def test_every_query_of_the_data_model_runs_and_is_true(local_stage, examples):
    # GIVEN the documented examples in the tables
    programs, commands = (blocks(text_of(DATA_MODEL), language) for language in ("python", "sh"))
    assert (len(programs), len(commands)) == (8, 7)

    # WHEN each query is run as it stands, THEN it works, and what it asserts holds
    for program in programs:
        local_stage.run(sys.executable, "-c", program)
    for command in commands:
        expected = local_stage["ENROLLMENTS_TABLE"] if "ssm" in command else "Item"
        assert expected in local_stage.run("bash", "-euc", command)


@pytest.mark.slow
def test_every_ops_command_of_the_operators_guide_runs(local_stage, examples, tmp_path):
    # GIVEN the commands that the guide gives for stage prod, pointed at the local one
    lines = [line for block in blocks(text_of(OPERATIONS), "") for line in block.splitlines()]
    commands = [
        line.replace("--stage prod", "--stage local").replace("rejected.ndjson", str(tmp_path / "rejected.ndjson"))
        for line in lines
        if line.startswith((".venv/bin/ops ", "aws "))
    ]
    assert len(commands) >= 8

    # WHEN each is run, THEN it works; `status` may find something wrong, and says so by its exit status
    for command in commands:
        local_stage.run("bash", "-euc", f"{command} || test $? -eq 1" if "status" in command else command)


@pytest.mark.slow
def test_status_says_what_is_wrong_and_exits_so(local_stage, examples):
    # GIVEN the documented imports, which have been unfinished since 2020
    ran = subprocess.run(
        [sys.executable, "-m", "ops", "status"],
        cwd=ROOT,
        env=os.environ | local_stage.environment,
        check=False,
        capture_output=True,
        text=True,
    )

    # THEN they are a reason not to be healthy, and the stacks are not
    assert ran.returncode == 1
    assert "import 21070000000000001/1440004 has had no event since 2020-01-15" in ran.stdout
    assert ran.stdout.count("_COMPLETE") == 2
    assert "is CREATE_COMPLETE" not in ran.stdout
    assert re.search(r"enrollment_created +│ +\d+ │", ran.stdout)


@pytest.mark.slow
def test_every_ops_command_of_the_readme_runs(local_stage, examples):
    text = text_of(ROOT / "README.md")
    lines = [line for block in blocks(text, "sh") for line in block.splitlines() if "/ops " in line]
    assert len(lines) == 9
    for line in lines:
        local_stage.run("bash", "-euc", line)


@pytest.mark.slow
def test_the_outage_drill_goes_as_it_is_described(local_stage, examples):
    # GIVEN no dead letters, the commands of the operator's guide, and what it says that they print
    remove_dead_letters(local_stage)
    drill = text_of(OPERATIONS, "Drill: an outage, on the emulator")
    denying, looking, allowing, showing = blocks(drill, "sh")
    nothing, everything = (block.splitlines() for block in blocks(drill, "text"))

    def prints(command, lines):
        printed = cells(local_stage.run("bash", "-euc", command))
        return all(line in printed for line in map(cells, lines))

    try:
        # WHEN the writes are denied, THEN nothing is stored and nothing is dead-lettered
        local_stage.run("bash", "-euc", denying)
        assert prints(looking, nothing)
    finally:
        # WHEN they are allowed again
        local_stage.run("bash", "-euc", allowing)

    # THEN the tables are right, without a command
    eventually(lambda: prints(showing, everything))


@pytest.mark.slow
def test_the_drill_of_a_rejected_event_goes_as_it_is_described(local_stage, tmp_path):
    # GIVEN the commands of the deployment guide, pointed at the local stage
    remove_dead_letters(local_stage)
    drill = text_of(DEPLOYMENT, "Drill: a rejected event")
    (reason,) = blocks(drill, "text")
    publishing, looking, discarding = (
        f"export TMPDIR={tmp_path}\n{block.replace('--stage prod', '--stage local')}" for block in blocks(drill, "sh")
    )

    # WHEN an event is rejected on purpose, THEN it is found with its reason, and taken out
    local_stage.run("bash", "-euc", publishing)
    eventually(lambda: reason.strip() in local_stage.run("bash", "-euc", looking))
    local_stage.run("bash", "-euc", discarding)
    assert local_stage.dead_letters() == {}
    assert len((tmp_path / "drill.ndjson").read_text().splitlines()) == 1


@pytest.mark.slow
def test_a_table_is_restored_as_it_is_described(local_stage, examples):
    # GIVEN a table of which one item was lost after the time to restore to, and the commands of the operator's guide
    expected = local_stage.items()
    began = datetime.now(UTC) - timedelta(hours=1)
    local_stage.table("SIS_BATCHES_TABLE").delete_item(Key={"account_id": "21070000000000001", "sis_batch_id": 1440004})
    script = "\n".join(blocks(text_of(OPERATIONS, "Restore a table"), "sh"))
    for documented, here in (
        ("STAGE=prod", "STAGE=local"),
        ("RESTORE_TO=2026-11-01T12:00:00Z", f"RESTORE_TO={began:%FT%TZ}"),
        ("--from 2026-10-31T12:00:00Z --to 2026-11-01T14:00:00Z", f"--from {began:%FT%TZ} --to $(date --utc +%FT%TZ)"),
        ("/enrollments-", "/sis-batches-"),
        ("sleep 5", "sleep 0.1"),
    ):
        assert documented in script
        script = script.replace(documented, here)

    # WHEN they are run, THEN the table has its name, its stream and its items, the lost one by the replay
    local_stage.run("bash", "-euc", script)
    eventually(lambda: local_stage.items() == expected)
    table = local_stage.client("dynamodb").describe_table(TableName=local_stage["SIS_BATCHES_TABLE"])["Table"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["unfinished"]
    assert table["LatestStreamArn"] != local_stage["SIS_BATCHES_STREAM_ARN"]
    local_stage.environment["SIS_BATCHES_STREAM_ARN"] = table["LatestStreamArn"]


def remove_dead_letters(local_stage):
    """Empty every dead-letter queue."""
    for name, url in local_stage.queues.items():
        if name.endswith("DeadLetters"):
            local_stage.client("sqs").purge_queue(QueueUrl=url)


def cells(line):
    """The text of a table without the widths of its columns."""
    return re.sub(r" *│ *", "│", line)


@pytest.mark.slow
def test_the_demo_ends_with_the_right_tables(tmp_path):
    # WHEN a newcomer types `make demo`
    ran = subprocess.run(
        ["make", "demo", f"OPS_LOCAL={tmp_path}"],
        cwd=ROOT,
        env=clean_environment(),
        check=False,
        capture_output=True,
        text=True,
    )

    # THEN it shows the enrollment as completed, the import with its timeline, and where the invalid event is
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"workflow_state +│ completed", ran.stdout), ran.stdout
    assert re.search(r"1440005 +│ imported", ran.stdout), ran.stdout
    assert re.search(r"SisBatchUpdatedDeadLetters │ RejectedEvent │ sis_batch_updated: .* │ +1 ", ran.stdout), (
        ran.stdout
    )
    assert "The local stage is down." in ran.stdout


def clean_environment():
    """The shell's environment without what the tests put into it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
