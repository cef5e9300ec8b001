"""The mutation operators that cosmic-ray lacks: each changes one place, in every way that it can."""

import re

import pytest
from cosmic_ray.mutating import mutate_code

from testbed.mutation.operators import operators


@pytest.mark.parametrize(
    ("operator", "code", "expected"),
    [
        ("_opposite", "min(a) in b", ["max(a) in b", "min(a) not in b"]),
        ("_opposite", "for a in b: all(a)", ["for a in b: any(a)"]),
        (
            "_negated",
            "a if b else [c for c in d if e]",
            ["a if not (b) else [c for c in d if e]", "a if b else [c for c in d if not (e)]"],
        ),
        (
            "_longer_string",
            "f('a', rb'b', f'{c}')",
            ["f('XXa', rb'b', f'{c}')", "f('a', rb'XXb', f'{c}')", "f('a', rb'b', f'XX{c}')"],
        ),
        ("_without_operand", "a - b - c", ["b - c", "a - c", "a - b"]),
        ("_without_operand", "a | b", ["b", "a", "b | a"]),
        ("_without_operand", "a and b", ["b", "a"]),
        ("_without_argument", "f(a, b=1, c=2)", ["f(a, c=2)", "f(a, b=1)"]),
        ("_without_element", "('a', 'b')", ["('b',)", "('a',)", "('b','a')"]),
        ("_without_element", "a in (1, 2)", ["a in (2,)", "a in (1,)"]),
        ("_without_element", "['a']", ["[]"]),
        ("_without_element", "{'a'}", ["{*()}"]),
        ("_without_element", "{**a, 'b': 1}", ["{'b': 1}", "{**a}", "{'b': 1,**a}"]),
        ("_without_element", "[a for a in b]", []),
        ("_without_call", "f(a)\nb = f(a)", ["...\nb = f(a)"]),
    ],
)
def test_an_operator_changes_one_place_in_every_way_that_it_can(operator, code, expected):
    found: list[str] = []
    while (mutant := mutate_code(code, operators()[operator], len(found))) is not None:
        compile(mutant, "mutant", "exec")
        found.append(mutant)
    assert [re.sub(r"(?<=[({]) | (?= )", "", mutant) for mutant in found] == expected
