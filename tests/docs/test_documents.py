"""What the documents say is true: their commands run, their links lead somewhere, their lists are complete."""

import os
import re
import subprocess
import sys

import pytest

from functions.canvas.enrollment import EnrollmentBody
from functions.canvas.enrollment_state import EnrollmentStateBody
from functions.routes import EVENT_NAMES
from tests.canvas import ROOT
from tests.local_stage import eventually

DOCUMENTS = [
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def blocks(document, language):
    """The fenced blocks of `language` in `document`."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)
    return [block for of_language, block in fenced if of_language == language]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_inside_the_repository_leads_somewhere(document):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)[^)]*\)", document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(document):
    for target in set(re.findall(r"\bmake ([a-z]+)\b(?= STAGE|\s*#|`)", document.read_text())):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_every_anchor_that_an_error_names_is_a_section():
    sections = {
        re.sub(r"[^a-z0-9]+", "-", title.lower())
        for title in re.findall(r"^## (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    }
    named = {
        anchor
        for path in (*(ROOT / "functions").rglob("*.py"), *(ROOT / "ops").rglob("*.py"))
        for anchor in re.findall(r"docs/operations\.md#([a-z-]+)", path.read_text())
    }
    assert named
    assert named <= sections


def test_the_data_model_names_every_attribute():
    documented = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs/data-model.md").read_text()))
    kept = set(EnrollmentBody.model_fields) | set(EnrollmentStateBody.model_fields)
    kept |= {"enrollment_event_time", "enrollment_version", "state_event_time", "state_version"}
    kept |= {"account_id", "sis_batch_id", "workflow_state", "event_time", "version"}
    assert kept <= documented


def test_the_readme_names_every_event():
    assert set(re.findall(r"`((?:enrollment|sis)_[a-z_]+ed)`", (ROOT / "README.md").read_text())) == EVENT_NAMES


@pytest.mark.slow
def test_every_query_of_the_data_model_runs_and_is_true(local_stage, examples):
    # GIVEN the documented examples in the tables
    document = ROOT / "docs" / "data-model.md"
    programs, commands = blocks(document, "python"), blocks(document, "sh")
    assert (len(programs), len(commands)) == (8, 6)

    # WHEN each query is run as it stands, THEN it works, and what it asserts holds
    for program in programs:
        local_stage.run(sys.executable, "-c", program)
    for command in commands:
        assert "Item" in local_stage.run("bash", "-euc", command)


@pytest.mark.slow
def test_every_ops_command_of_the_operators_guide_runs(local_stage, examples, tmp_path):
    # GIVEN the commands that the guide gives for stage prod, pointed at the local one
    lines = [line for block in blocks(ROOT / "docs/operations.md", "") for line in block.splitlines()]
    commands = [
        line.replace("--stage prod", "").replace("rejected.ndjson", str(tmp_path / "rejected.ndjson"))
        for line in lines
        if line.startswith((".venv/bin/ops ", "aws "))
    ]
    assert len(commands) == 7

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
    lines = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines() if "/ops " in line]
    assert len(lines) == 6
    for line in lines:
        local_stage.run("bash", "-euc", line)


@pytest.mark.slow
def test_the_outage_drill_goes_as_it_is_described(local_stage, examples):
    # GIVEN no dead letters, the commands of the operator's guide, and what it says that they print
    document = ROOT / "docs" / "operations.md"
    for name, url in local_stage.queues.items():
        if name.endswith("DeadLetters"):
            local_stage.client("sqs").purge_queue(QueueUrl=url)
    denying, looking, allowing, showing = blocks(document, "sh")
    nothing, everything = (block.splitlines() for block in blocks(document, "text"))

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
    assert re.search(r"workflow_state +│ completed", ran.stdout)
    assert re.search(r"1440005 +│ imported", ran.stdout)
    assert re.search(r"SisBatchUpdatedDeadLetters │ RejectedEvent │ sis_batch_updated: .* │ +1 ", ran.stdout)
    assert "The local stage is down." in ran.stdout


def clean_environment():
    """The shell's environment without what the tests put into it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
