"""The documents are correct: their commands run, their links have targets, and their lists are complete."""

import json
import os
import re
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from functions.routes import EVENT_NAMES
from infra.settings import Reconciliation, Settings, stage_settings
from ops.verify.synthetic import PRODUCER, SIS_BATCH_ID, ReservedKeys
from testbed.events import ROOT
from testbed.ordering.histories import random_history, spell
from testbed.ordering.oracle import tables_after
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
    """Text of `document`, or of its section `title` with all subsections."""
    text = document.read_text()
    if title is None:
        return text
    level, start = next((heading[1], heading.end()) for heading in headings(text) if heading[2] == title)
    ends = [heading.start() for heading in headings(text) if heading.start() > start and len(heading[1]) <= len(level)]
    return text[start : ends[0] if ends else None]


def headings(text):
    """Headings of `text`, as matches of number signs and title."""
    fenced = [match.span() for match in re.finditer(r"^( *)```.*?^\1```$", text, re.MULTILINE | re.DOTALL)]
    found = re.finditer(r"^(#+) (.+)$", text, re.MULTILINE)
    return [match for match in found if not any(start < match.start() < end for start, end in fenced)]


def anchors(document):
    """Anchors of the sections of `document`."""
    return {re.sub(r"[^a-z0-9]+", "-", heading[2].lower()).strip("-") for heading in headings(document.read_text())}


def blocks(text, language):
    """Fenced blocks of `language` in `text`."""
    fenced = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, of_language, block in fenced if of_language == language]


def rows(text):
    """Table rows in `text` whose first cell is code: the other cells, by that code."""
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
    assert rows(text_of(DATA_MODEL, "Resolve table names")).keys() == published


def test_the_data_model_names_the_reserved_keys():
    keys = ReservedKeys("21070000000000001")
    reserved = text_of(DATA_MODEL, "Reserved keys")
    assert all(f"`{key}`" in reserved for key in (*keys.enrollments, keys.last, SIS_BATCH_ID, PRODUCER))


@pytest.mark.parametrize(("section", "model"), [("Stages", Settings), ("Reconciliation", Reconciliation)])
def test_every_setting_is_documented_with_its_default(section, model):
    documented = {name: default.strip("`") for name, (default, *_) in rows(text_of(DEPLOYMENT, section)).items()}
    settings = {name: field for name, field in model.model_fields.items() if name != "stage"}
    assert documented == {name: "required" if f.is_required() else written(f.default) for name, f in settings.items()}


def written(default):
    """Text of a default value in the guide."""
    return str(default).lower() if isinstance(default, bool) else str(default or "none")


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
    assert programs
    assert commands

    # WHEN each query is run unchanged, THEN it succeeds, and its assertions hold
    for program in programs:
        local_stage.run(sys.executable, "-c", program)
    for command in commands:
        expected = local_stage["ENROLLMENTS_TABLE"] if "ssm" in command else "Item"
        assert expected in local_stage.run("bash", "-euc", command)


RUN_ELSEWHERE = re.compile(r"\S+ (backfill|reconcile|drift)\b")
"""The commands of the reconciliation, which tests/e2e/test_compared_with_canvas.py runs with all their options."""


@pytest.mark.slow
def test_every_ops_command_of_the_readme_and_the_operators_guide_runs(local_stage, examples, tmp_path):
    # GIVEN the commands, with the local stage instead of stage prod
    fenced = [*blocks(text_of(ROOT / "README.md"), "sh"), *blocks(text_of(OPERATIONS), "")]
    lines = [line.partition("  #")[0].strip() for block in fenced for line in block.splitlines()]
    commands = dict.fromkeys(
        line.replace(" --stage prod", "").replace("rejected.ndjson", str(tmp_path / "rejected.ndjson"))
        for line in lines
        if line.startswith((".venv/bin/ops ", "aws ")) and not RUN_ELSEWHERE.match(line)
    )
    assert commands

    # WHEN each is run, THEN it succeeds, or, for `status`, exits with status 1 where a check fails
    for command in commands:
        local_stage.run("bash", "-euc", f"{command} || test $? -eq 1" if "status" in command else command)


@pytest.mark.slow
def test_status_reports_unhealthy_checks_and_exits_with_status_1(local_stage, examples):
    # GIVEN the documented imports, which have been unfinished since 2020
    ran = subprocess.run(
        [sys.executable, "-m", "ops", "status"],
        cwd=ROOT,
        env=os.environ | local_stage.environment,
        check=False,
        capture_output=True,
        text=True,
    )

    # THEN it reports the imports as unhealthy, and not the stacks
    assert ran.returncode == 1
    assert "import 21070000000000001/1440004 has had no event since 2020-01-15" in ran.stdout
    assert ran.stdout.count("_COMPLETE") == 2
    assert "is CREATE_COMPLETE" not in ran.stdout
    assert re.search(r"enrollment_created +│ +\d+ │", ran.stdout)


EVENTS_OF_THE_DRILL = ("EnrollmentUpdated", "EnrollmentStateCreated", "SisBatchUpdated", "SisBatchCreated")


@pytest.mark.slow
def test_the_outage_drill_goes_as_it_is_described_and_ends_with_every_item_right(local_stage, tmp_path):
    # GIVEN no dead-lettered messages, a shuffled and half duplicated history, and the drill of the guide
    remove_dead_letters(local_stage)
    before, rng = local_stage.items(), Random(5)
    facts = random_history(rng, 60, subjects=8, seconds=30)
    deliveries = [spell(fact, rng) for fact in rng.sample([*facts, *facts[::2]], k=90)]
    history = tmp_path / "history.ndjson"
    history.write_text("".join(f"{json.dumps(message)}\n" for message in deliveries))
    drill = text_of(OPERATIONS, "Drill: an outage, on the emulator")
    denying, looking, allowing, showing = blocks(drill, "sh")
    nothing, everything = (block.splitlines() for block in blocks(drill, "text"))

    def missing(lines, command):
        printed = cells(local_stage.run("bash", "-euc", command))
        return [f"{line!r} is not in:\n{printed}" for line in map(cells, lines) if line not in printed]

    try:
        # WHEN writes are denied, and all events are in their queues
        local_stage.run("bash", "-euc", denying)
        local_stage.ops("publish", str(history))
        eventually(lambda: not local_stage.count("IngestionQueue"))
        eventually(lambda: all(local_stage.count(f"{event}Queue") for event in EVENTS_OF_THE_DRILL))

        # THEN nothing is stored and nothing is dead-lettered
        assert not (difference := missing(nothing, looking)), "\n".join(difference)
        assert local_stage.items() == before
    finally:
        # WHEN writes are allowed again
        local_stage.run("bash", "-euc", allowing)

    # THEN every attribute of every item is correct without a command, and nothing is dead-lettered
    eventually(lambda: not missing(everything, showing))
    eventually(local_stage.is_idle)
    assert local_stage.dead_letters() == {}
    enrollments, imports = tables_after(facts)
    for (enrollment_id,), item in enrollments.items():
        assert local_stage.enrollment(enrollment_id) == item
    for (account_id, sis_batch_id), item in imports.items():
        assert local_stage.sis_batch(int(sis_batch_id), account_id=account_id) == item


@pytest.mark.slow
def test_the_drill_of_a_rejected_event_goes_as_it_is_described(local_stage, tmp_path):
    # GIVEN the commands of the deployment guide, for the local stage
    remove_dead_letters(local_stage)
    drill = text_of(DEPLOYMENT, "Drill: a rejected event")
    (reason,) = blocks(drill, "text")
    publishing, looking, discarding = (
        f"export TMPDIR={tmp_path}\n{block.replace('--stage prod', '--stage local')}" for block in blocks(drill, "sh")
    )

    # WHEN an invalid event is published, THEN it is found with its reason, and discarded
    local_stage.run("bash", "-euc", publishing)
    eventually(lambda: reason.strip() in local_stage.run("bash", "-euc", looking))
    local_stage.run("bash", "-euc", discarding)
    assert local_stage.dead_letters() == {}
    assert len((tmp_path / "drill.ndjson").read_text().splitlines()) == 1


@pytest.mark.slow
def test_a_table_is_restored_as_it_is_described(local_stage, examples):
    # GIVEN a table that lost an item after the restore time, and the commands of the operator's guide
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

    # WHEN they are run, THEN the table has its name, a stream and all items, the lost one by replay
    local_stage.run("bash", "-euc", script)
    eventually(lambda: local_stage.items() == expected)
    eventually(local_stage.is_idle)  # the replay also delivers the invalid events of other tests
    table = local_stage.client("dynamodb").describe_table(TableName=local_stage["SIS_BATCHES_TABLE"])["Table"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["unfinished"]
    assert table["LatestStreamArn"] != local_stage["SIS_BATCHES_STREAM_ARN"]
    local_stage.environment["SIS_BATCHES_STREAM_ARN"] = table["LatestStreamArn"]


def remove_dead_letters(local_stage):
    """Purge all dead-letter queues, once all events of other tests are processed."""
    eventually(local_stage.is_idle)
    for name, url in local_stage.queues.items():
        if name.endswith("DeadLetters"):
            local_stage.client("sqs").purge_queue(QueueUrl=url)


def cells(line):
    """Cells of a table row, without padding."""
    return re.sub(r" *│ *", "│", line)


@pytest.mark.slow
def test_the_demo_ends_with_the_right_tables(tmp_path):
    # WHEN `make demo` is run
    ran = subprocess.run(
        ["make", "demo", f"OPS_LOCAL={tmp_path}"],
        cwd=ROOT,
        env=clean_environment(),
        check=False,
        capture_output=True,
        text=True,
    )

    # THEN it shows the completed enrollment, the import with its timeline, and the dead-lettered event
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"workflow_state +│ completed", ran.stdout), ran.stdout
    assert re.search(r"1440005 +│ imported", ran.stdout), ran.stdout
    assert re.search(r"SisBatchUpdatedDeadLetters │ RejectedEvent │ sis_batch_updated: .* │ +1 ", ran.stdout), (
        ran.stdout
    )
    assert "The local stage is down." in ran.stdout


def clean_environment():
    """Environment variables without those that the tests have set."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
