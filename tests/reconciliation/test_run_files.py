"""Objects of a run: written completely, read by line, listed in order."""

import gzip
import json

import boto3
import pytest

from reconciliation import run_files
from reconciliation.run_files import Lines, RunFiles


@pytest.fixture
def files(aws):
    boto3.client("s3").create_bucket(Bucket="runs")
    return RunFiles("reconcile-1")


def lines(*texts):
    lines = Lines()
    for text in texts:
        lines.add(text)
    return lines


def test_objects_are_below_the_prefix_of_their_run(files):
    files.write_json("jobs.json", {"a": 1})
    (found,) = boto3.client("s3").list_objects_v2(Bucket="runs")["Contents"]
    assert found["Key"] == "runs/reconcile-1/jobs.json"
    assert files.read_json("jobs.json") == {"a": 1}
    assert files.name("runs/reconcile-1/corrections/a.jsonl.gz") == "corrections/a.jsonl.gz"


def test_names_of_one_run_are_listed_in_order_however_many_there_are(files, monkeypatch):
    # GIVEN more objects than a page of two, and another run
    paginate = files._s3.get_paginator
    monkeypatch.setattr(
        files._s3,
        "get_paginator",
        lambda name: type("", (), {"paginate": lambda _, **k: paginate(name).paginate(**k, MaxKeys=2)})(),
    )
    for number in (4, 2, 0, 1, 3):
        files.write_json(f"compared/{number}", {})
    RunFiles("reconcile-2").write_json("compared/9", {})
    files.write_json("report.json", {})
    assert files.names("compared/") == [f"compared/{number}" for number in range(5)]
    assert files.names("decided/") == []


def test_lines_come_back_as_they_were_added(files):
    files.write_lines("a", lines("one", "zwei: é", ""))
    assert list(files.read_lines("a")) == [b"one", "zwei: é".encode(), b""]


def test_a_header_is_the_first_line_and_can_be_read_alone(files):
    many = lines(*map(str, range(100_000)))
    files.write_lines("a", many, header={"rows": 3})
    files.write_lines("b", lines(), header={"rows": 0})
    assert json.loads(next(files.read_lines("a"))) == {"rows": 3}
    assert list(files.read_headers(["a", "b", "a"])) == [{"rows": 3}, {"rows": 0}, {"rows": 3}]
    assert len(list(files.read_lines("a"))) == 100_001


def test_values_are_read_in_the_order_of_their_names(files):
    for number in range(20):
        files.write_json(str(number), number)
    assert list(files.read_all_json([str(number) for number in range(20)])) == list(range(20))


def test_a_step_that_is_repeated_writes_the_same_bytes(files):
    assert lines("one", "two").content() == lines("one", "two").content()
    assert lines("one", "two").count == 2


def test_a_file_is_copied_there_and_back(files, tmp_path, monkeypatch):
    monkeypatch.setattr(run_files, "_COPY_BYTES", 10)
    (tmp_path / "here").write_bytes(b"x" * 95)
    files.upload(tmp_path / "here", "names.sqlite")
    files.download("names.sqlite", tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == b"x" * 95


def test_lines_are_held_compressed():
    many = lines(*["x" * 1000] * 10_000)
    assert len(many.content()) < 100_000
    assert gzip.decompress(many.content()).count(b"\n") == 10_000
