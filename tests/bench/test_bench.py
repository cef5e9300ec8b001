"""The bench: a short run of it, what it makes of a run, and the run that is committed."""

import subprocess
import sys
from dataclasses import replace

import pytest

from bench.events import KINDS
from bench.process import valgrind
from bench.report import write
from bench.results import Results
from bench.targets import verdicts
from tests.canvas import ROOT

PERFORMANCE = ROOT / "docs" / "performance"


@pytest.fixture
def committed():
    """What the committed run found."""
    return Results.load(PERFORMANCE / "results.json")


@pytest.fixture
def cachegrind():
    """The one thing that neither PyPI nor npm can bring: `make` unpacks Debian's package where there is one."""
    try:
        valgrind()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.mark.slow
def test_a_smoke_run_measures_every_part(cachegrind, tmp_path):
    # WHEN the bench runs with two programs and few events
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "--smoke", "--output", tmp_path],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    # THEN it ends well, and has found something for each of its figures
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = Results.load(tmp_path / "results.json")
    for program in ("ours", "floor"):
        assert all(found.warm_instructions[program][kind] > 100_000 for kind in KINDS)
        assert all(found.warm_cpu_seconds[program][kind] > 0 for kind in KINDS)
        assert found.cold_instructions[program] > 10_000_000
        assert found.cold_cpu_seconds[program] > 0
        assert found.cold_peak_bytes[program] > 1_000_000
        assert found.first_invoke_seconds[program] > 0
        assert found.zipped_bytes[program] > 0
    assert all(rate > 0 for rate in found.events_per_second.values())

    # AND what does not depend on the machine is as promised
    assert found.requests["ours"] == {"in order": 1, "duplicate": 1, "stale": 1}
    assert found.table_units["ours"]["in order"] == 1
    assert found.index_units["ours"]["in order"] == 0
    assert found.projected_change_units == [1, 2]
    assert found.put_events_calls <= 1 / 8


def test_the_committed_run_met_every_target(committed):
    assert [verdict.target for verdict in verdicts(committed) if not verdict.met] == []


def test_the_documents_say_what_the_committed_run_found(committed, tmp_path):
    # WHEN the documents are written again from the committed figures
    write(committed, verdicts(committed), tmp_path)

    # THEN they are the committed documents, word for word, and every picture is there
    for document in ("README.md", "cost.md"):
        assert (tmp_path / document).read_text() == (PERFORMANCE / document).read_text()
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {path.name for path in PERFORMANCE.glob("*.png")}


def test_a_target_that_is_missed_is_said(committed, tmp_path):
    # GIVEN a run in which the asset had grown
    heavier = replace(committed, zipped_bytes=committed.zipped_bytes | {"ours": 12_000_001})

    # WHEN it is judged, THEN that target and no other is missed, and the document says so
    judged = verdicts(heavier)
    assert [verdict.target for verdict in judged if not verdict.met] == ["zipped asset, MB"]
    write(heavier, judged, tmp_path)
    assert "**missed**" in (tmp_path / "README.md").read_text()
