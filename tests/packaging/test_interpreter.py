"""The Python version of Lambda: uv downloads a missing one, or the deployment fails."""

import sys

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Annotations, Match

from infra import bundling
from infra.bundling import functions_code, interpreter_of
from infra.platform import Platform

# A version that no machine has.
PLATFORM = Platform(python="3.99", machine="aarch64")
UV = """#!/bin/sh
echo "$* $UV_PYTHON_INSTALL_DIR" >> "{log}"
case "$1 $2" in
"python find") test -e "$UV_PYTHON_INSTALL_DIR/python" && echo "$UV_PYTHON_INSTALL_DIR/python" ;;
"python install") {install} ;;
esac
"""


@pytest.fixture
def stub_uv(tmp_path, monkeypatch):
    """Replace uv by a stub. Returns its log: the arguments, and the folder of its Pythons."""
    log = tmp_path / "log"

    def stub_uv(*, install):
        uv = tmp_path / "uv"
        uv.write_text(UV.format(log=log, install=install))
        uv.chmod(0o755)
        monkeypatch.setattr(bundling, "find_uv_bin", lambda: str(uv))
        monkeypatch.setattr(bundling, "_PYTHONS", tmp_path / "pythons")
        monkeypatch.delenv("UV_PYTHON_INSTALL_DIR", raising=False)
        return lambda: log.read_text().splitlines()

    interpreter_of.cache_clear()
    yield stub_uv
    interpreter_of.cache_clear()


def test_the_interpreter_is_our_own_where_the_version_is_the_same():
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert interpreter_of(Platform(python=version, machine="aarch64")) == sys.executable


def test_a_missing_interpreter_is_downloaded_into_the_checkout(stub_uv, tmp_path):
    # GIVEN a uv without this Python, which can download it
    calls = stub_uv(install='mkdir -p "$UV_PYTHON_INSTALL_DIR" && touch "$UV_PYTHON_INSTALL_DIR/python"')

    # WHEN it is needed twice
    found = [interpreter_of(PLATFORM), interpreter_of(PLATFORM)]

    # THEN it is downloaded once, into the checkout, and found there; only that call may download
    pythons = tmp_path / "pythons"
    assert found == [str(pythons / "python")] * 2
    find = "python find --no-python-downloads --no-project 3.99"
    assert calls() == [f"{find} ", f"{find} {pythons}", f"python install --no-bin 3.99 {pythons}", f"{find} {pythons}"]


def test_where_nothing_can_be_downloaded_the_error_of_uv_is_shown(stub_uv, capfd):
    stub_uv(install="echo 'error: no network' >&2; exit 2")
    assert interpreter_of(PLATFORM) is None
    assert "error: no network" in capfd.readouterr().err


@pytest.mark.parametrize("context", [{}, {"bytecode": "optional"}, {"bytecode": "required"}], ids=str)
def test_without_an_interpreter_a_deployment_is_refused_and_a_synthesis_warns(stub_uv, context):
    # GIVEN a machine that has no such Python, and cannot download it
    stub_uv(install="exit 2")
    stack = Stack(App(context=context), "Stack")

    # WHEN the asset is built
    functions_code(stack, PLATFORM)

    # THEN the error of `make deploy`, which requires bytecode, explains how to deploy without it
    annotations = Annotations.from_stack(stack)
    if context.get("bytecode") == "required":
        annotations.has_error("*", Match.string_like_regexp("Install Python 3.99, .*CDK_ARGS='-c bytecode=optional'"))
    else:
        annotations.has_no_error("*", Match.any_value())
        annotations.has_warning("*", Match.string_like_regexp("no Python 3.99"))


def test_a_command_that_builds_no_asset_looks_for_no_interpreter(stub_uv, tmp_path):
    # GIVEN the context of `cdk destroy` and `cdk ls`: no bundling
    stub_uv(install="exit 2")
    stack = Stack(App(context={"aws:cdk:bundling-stacks": []}), "Stack")
    functions_code(stack, PLATFORM)
    assert not (tmp_path / "log").exists()
