"""Mutation operators: a selection of those of cosmic-ray, and some that it lacks.

An operator has `mutation_positions`, which yields once for each way to mutate a node of the syntax tree of parso, and
`mutate`, which applies one. Source: documentation of cosmic-ray, "Operators".
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cosmic_ray.plugins import get_operator
from parso.python.tree import Name

Node = Any
"""A node or leaf of parso."""

_OF_COSMIC_RAY = (
    *("NumberReplacer", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceUnaryOperator_Delete_Not", "ExceptionReplacer", "RemoveDecorator", "ZeroIterationForLoop"),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "FloorDiv_Mod", "Mod_FloorDiv")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Lt_LtE", "Lt_Gt", "LtE_Lt", "LtE_GtE")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Gt_GtE", "Gt_Lt", "GtE_Gt", "GtE_LtE")),
)

_OPPOSITES = {"min": "max", "max": "min", "all": "any", "any": "all", "in": "not in", "not in": "in"}


class _Replacement:
    """Operator that replaces a node by each of the texts that `texts` returns for it."""

    def __init__(self, texts: Callable[[Node], Iterable[str]]) -> None:
        self._texts = texts

    def mutation_positions(self, node: Node) -> Iterator[tuple[Any, Any]]:
        return ((node.start_pos, node.end_pos) for _ in self._texts(node))

    def mutate(self, node: Node, index: int) -> Node:
        return Name([*self._texts(node)][index].strip(), node.start_pos, prefix=node.get_first_leaf().prefix)


def _code(node: Node) -> str:
    return str(node.get_code(include_prefix=False))


def _opposite(node: Node) -> Iterator[str]:
    is_function = node.type == "name" and node.parent.type == "atom_expr"
    is_operator = node.type in {"keyword", "comp_op"} and node.parent.type == "comparison"
    if (is_function or is_operator) and _code(node) in _OPPOSITES:
        yield _OPPOSITES[_code(node)]


def _negated(node: Node) -> Iterator[str]:
    """Negate a condition."""
    if node.get_previous_sibling() in {"if", "elif", "while"}:
        yield f"not ({_code(node)})"


def _longer_string(node: Node) -> Iterator[str]:
    if node.type == "string":
        prefix, quote, text = _code(node).partition(_code(node)[-1])
        yield f"{prefix}{quote}XX{text}"
    elif node.type == "fstring":
        start, *rest = node.children
        yield f"{_code(start)}XX{''.join(part.get_code() for part in rest)}"


def _without_operand(node: Node) -> Iterator[str]:
    """Remove an operand. Also swap the operands of `|`, whose right side takes precedence where both are mappings."""
    if node.type in {"arith_expr", "term", "power", "expr", "and_test", "or_test"} and len(node.children) > 2:
        code = [child.get_code() for child in node.children]
        yield "".join(code[2:])
        for number in range(1, len(code), 2):
            yield "".join(code[:number] + code[number + 2 :])
        if code[1].strip() == "|" and node.parent.type != "annassign":
            yield " ".join(reversed(code))


def _without_argument(node: Node) -> Iterator[str]:
    """Remove a keyword argument."""
    if node.type == "trailer" and node.children[0] == "(" and len(node.children) == 3:
        arguments = _separated(node.children[1], "arglist")
        for argument in arguments:
            if argument[0].type == "argument" and argument[0].children[1] == "=":
                yield _joined(node, [kept for kept in arguments if kept is not argument])


def _without_element(node: Node) -> Iterator[str]:
    """Remove an element of a tuple, list, set or dict. Also reverse a tuple or a merge of dicts."""
    if node.type != "atom" or len(node.children) != 3 or node.children[0] not in {"(", "[", "{"}:
        return
    bracket, inner, _ = node.children
    is_display = inner.type in {"testlist_comp", "dictorsetmaker"}
    if (is_display and inner.children[-1].type == "sync_comp_for") or (not is_display and bracket == "("):
        return
    elements = _separated(inner, "testlist_comp", "dictorsetmaker")
    is_set = bracket == "{" and len(elements[0]) == 1
    for element in elements:
        kept = [each for each in elements if each is not element]
        yield "{*()}" if is_set and not kept else _joined(node, kept)
    is_ordered = bracket == "(" and node.parent.type not in {"comparison", "except_clause"}
    if len(elements) > 1 and (is_ordered or any(element[0] == "**" for element in elements)):
        yield _joined(node, elements[::-1])


def _separated(node: Node, *lists: str) -> list[list[Node]]:
    """Split `node` at its commas."""
    parts: list[list[Node]] = [[]]
    for child in node.children if node.type in lists else [node]:
        if child == ",":
            parts.append([])
        else:
            parts[-1].append(child)
    return [part for part in parts if part]


def _joined(node: Node, parts: list[list[Node]]) -> str:
    """Join `parts` between the brackets of `node`."""
    start, inner, end = node.children
    inner_code = ",".join("".join(child.get_code() for child in part) for part in parts)
    needs_comma = inner.get_last_leaf() == "," or (node.type == "atom" and start == "(" and len(parts) == 1)
    return f"{start.value}{inner_code}{',' if needs_comma and parts else ''}{end.get_code()}"


def _without_call(node: Node) -> Iterator[str]:
    """Replace a call whose value is unused by `...`."""
    if node.type == "atom_expr" and node.parent.type == "simple_stmt":
        yield "..."


def operators() -> dict[str, Any]:
    """All operators, by name."""
    own = (_opposite, _negated, _longer_string, _without_operand, _without_argument, _without_element, _without_call)
    return {name: get_operator(f"core/{name}")() for name in _OF_COSMIC_RAY} | {
        texts.__name__: _Replacement(texts) for texts in own
    }
