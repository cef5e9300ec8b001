"""Runs mutation tests: `python -m testbed.mutation [module …]` reports the survivors that mutants.toml does not list.

Each mutant is compiled in memory, in a fork of this process, which has loaded the libraries. The runner of cosmic-ray
rewrites the file in the checkout and starts a Python for each mutant.
"""

import os
import re
import signal
import sys
import tempfile
import time
import tomllib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import ndiff
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from testbed.mutation.operators import Node, operators

_ROOT = Path(__file__).resolve().parents[2]
_PROCESSES = 2
_TIMEOUT_SECONDS = 60
_LIBRARIES = ("aws_lambda_powertools.utilities.parser.models", "boto3", "botocore.session", "hypothesis", "pydynox")
_WITHOUT = ("anyio", "cacheprovider", "pytest_cov", "randomly", "unraisableexception")
_PYTEST = ("-x", "-qq", "--assert=plain", "--hypothesis-seed=0", *(f"-pno:{plugin}" for plugin in _WITHOUT))
_NOT_RUN = 70
_COMMENT = re.compile(r"(^ *|  )# .*")
_OPERATORS = operators()


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A module with one change."""

    module: str
    operator: str
    occurrence: int

    @property
    def code(self) -> str:
        """Source of the changed module."""
        code = mutate_code(_source(self.module), _OPERATORS[self.operator], self.occurrence)
        assert code is not None
        return str(code)

    @property
    def change(self) -> tuple[str, str]:
        """Changed code, before and after, without comments and line breaks."""
        lines = [*ndiff(_source(self.module).splitlines(), self.code.splitlines())]
        before, after = (" ".join(_COMMENT.sub("", line[2:]) for line in lines if line[0] == sign) for sign in "-+")
        return " ".join(before.split()), " ".join(after.split())


def _source(module: str) -> str:
    return (_ROOT / module).read_text()


def _mutants(module: str) -> Iterator[Mutant]:
    nodes = [*ast_nodes(get_ast(_source(module)))]
    for name, operator in _OPERATORS.items():
        places = (node for node in nodes for _ in operator.mutation_positions(node))
        for occurrence, node in enumerate(places):
            if not _is_for_readers(node):
                yield Mutant(module=module, operator=name, occurrence=occurrence)


def _is_for_readers(node: Node) -> bool:
    """Whether `node` is a docstring, an annotation for mypy only, or an option of a dataclass or a cache."""
    if node.type == "string" and node.parent.type in {"simple_stmt", "file_input"}:
        return True
    child, parent = None, node
    while parent is not None:
        text = parent.get_code(include_prefix=False)
        if (
            (parent.type == "tfpdef" and parent is not node)
            or (parent.type == "decorator" and parent is not node and text.startswith(("@dataclass", "@lru_cache")))
            or (parent.type == "funcdef" and child is not None and child is parent.annotation)
            or (parent.type == "annassign" and child is parent.children[1] and not _is_in_a_model(parent))
            or (parent.type == "atom_expr" and text.startswith(("Literal[", "TypeVar(")))
            or (parent.type == "expr_stmt" and ": TypeAlias" in text)
            or (parent.type == "if_stmt" and text.startswith("if TYPE_CHECKING:"))
        ):
            return True
        child, parent = parent, parent.parent
    return False


def _is_in_a_model(annotation: Node) -> bool:
    """Whether the annotation is one of a pydantic field, which has an effect at runtime."""
    scope = annotation.search_ancestor("classdef", "funcdef")
    base = scope.get_super_arglist() if scope is not None and scope.type == "classdef" else None
    return base is not None and base.get_code() != "NamedTuple"


def _passing(mutants: Iterable[Mutant | None], tests: list[str]) -> Iterator[Mutant | None]:
    """Yield those of `mutants` with which all `tests` pass. `None` is the unchanged code."""
    waiting, running = deque(mutants), dict[int, Mutant | None]()
    while waiting or running:
        if waiting and len(running) < _PROCESSES:
            mutant = waiting.popleft()
            if (process := os.fork()) == 0:
                _test(mutant, tests)
            running[process] = mutant
        else:
            process, status = os.wait()
            mutant, code = running.pop(process), os.waitstatus_to_exitcode(status)
            assert code != _NOT_RUN, f"{mutant} does not compile, or pytest did not start"
            if code == 0:
                yield mutant


def _test(mutant: Mutant | None, tests: list[str]) -> None:
    """Run `tests` and end the process."""
    status = _NOT_RUN
    try:
        signal.alarm(_TIMEOUT_SECONDS)
        if mutant is not None:
            _put_in_place(mutant)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        status = 1
        status = pytest.main([*_PYTEST, *tests])
    finally:
        os._exit(status)


def _put_in_place(mutant: Mutant) -> None:
    """Make the import system load `mutant` instead of its module."""
    path, get_code = str(_ROOT / mutant.module), SourceFileLoader.get_code
    code = compile(mutant.code, path, "exec")

    def mutated(loader: Any, name: str) -> Any:
        return code if loader.path == path else get_code(loader, name)

    SourceFileLoader.get_code = mutated  # type: ignore[method-assign,assignment]


def _check(path: str, tests: list[str], equivalent: Iterable[dict[str, Any]] = ()) -> bool:
    """Test the mutants of the module at `path`. Returns whether the survivors are exactly the listed ones."""
    start = time.monotonic()
    if not [*_passing([None], tests)]:
        print(f"{path}: the tests fail without a mutant. See: pytest {' '.join(tests)}")
        return False
    mutants = [*_mutants(path)]
    survivors = {mutant.change for mutant in _passing(mutants, tests) if mutant is not None}
    listed = {(each["before"], after) for each in equivalent for after in each["after"]}
    seconds = time.monotonic() - start
    print(f"{path}: {len(mutants)} mutants, {len(survivors)} survived, {len(listed)} listed, {seconds:.0f} s")
    for before, after in sorted(survivors - listed):
        print(f"  Survived. Add a test, or list it in mutants.toml with the reason:\n    - {before}\n    + {after}")
    for before, after in sorted(listed - survivors):
        print(f"  Listed in mutants.toml, but killed or gone. Remove it there:\n    - {before}\n    + {after}")
    sys.stdout.flush()
    return survivors == listed


def main(chosen: list[str]) -> int:
    """Test the mutants of the chosen modules, by default of all in mutants.toml. Returns the exit status."""
    for library in _LIBRARIES:
        import_module(library)
    modules = tomllib.loads((_ROOT / "mutants.toml").read_text())["module"]
    checked = [_check(**module) for module in modules if not chosen or module["path"] in chosen]
    return 0 if all(checked) else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        sys.exit(main(sys.argv[1:]))
