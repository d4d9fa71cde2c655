"""Mutants of a module: its syntax tree with one expression changed.

The operators are applied wherever they fit. A mutant is named by its function, the kind of
its statement, which of that kind it is in the function, the operator, and which place of
the statement it changes: by structure, never by the text of the code.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_ROUNDS = 800
"""Rounds of all `while` loops of a run before a mutant counts as endless."""


class EndlessError(Exception):
    """A mutant whose loops do not end."""


Address = tuple[str, str, int, str, int]
"""Function, kind of the statement, its number, operator, number of the change: (
"Speculative._settle", "if", 3, "never", 0) is the fourth `if` of it, never true."""


@dataclass(frozen=True)
class Place:
    """A node, what it is to its parent, and what puts another node there."""

    node: ast.AST
    parent: ast.AST
    field: str
    replace: Callable[[ast.AST], None]


@dataclass(frozen=True)
class Mutant:
    """A change of ``tree``, the module as it stands; ``execute`` undoes what it does."""

    module: types.ModuleType
    tree: ast.Module
    address: Address
    place: Place
    new: ast.AST

    def __str__(self) -> str:
        line = getattr(self.place.parent, "lineno", "")
        change = f"{_text(self.place.node)} -> {_text(self.new)}"
        return f"{self.module.__name__}:{line} {self.address}: {change}"

    def execute(self, namespace: dict[str, Any]) -> None:
        """Run the changed module in ``namespace``. Its `while` loops are counted, and
        raise EndlessError."""
        rounds = 0

        def count_round() -> None:
            nonlocal rounds
            rounds += 1
            if rounds > MAX_ROUNDS:
                raise EndlessError

        namespace["_count_round"] = count_round
        self.place.replace(ast.copy_location(self.new, self.place.node))
        code = compile(
            ast.fix_missing_locations(self.tree), str(self.module.__file__), "exec"
        )
        self.place.replace(self.place.node)
        exec(code, namespace)


def mutants(module: types.ModuleType) -> list[Mutant]:
    """All mutants of the functions and methods of ``module``."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    found = [Mutant(module, tree, *change) for change in _changes(tree)]
    for loop in [node for node in ast.walk(tree) if isinstance(node, ast.While)]:
        loop.body.insert(0, ast.parse("_count_round()").body[0])
    return found


def _changes(tree: ast.Module) -> Iterator[tuple[Address, Place, ast.AST]]:
    for name, function in _functions(tree):
        for kind, number, statement in _statements(function):
            places = list(_places(statement))
            for operator, change in OPERATORS.items():
                changed = ((place, change(place)) for place in places)
                found = [(place, new) for place, new in changed if new is not None]
                for i, (place, new) in enumerate(found):
                    yield (name, kind, number, operator, i), place, new


def _functions(
    tree: ast.Module | ast.ClassDef, prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods with their qualified names."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")


def _statements(function: ast.FunctionDef) -> Iterator[tuple[str, int, ast.stmt]]:
    """The statements of a function, counted by their kind: ``if`` 0, ``if`` 1 ..."""
    counts: dict[str, int] = {}
    nodes = [node for node in ast.walk(function) if isinstance(node, ast.stmt)]
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        if node is not function:
            kind = type(node).__name__.lower()
            counts[kind] = counts.get(kind, -1) + 1
            yield kind, counts[kind], node


def _places(node: ast.AST) -> Iterator[Place]:
    """The expressions and operators of a statement, without those of statements in it."""
    for field, value in ast.iter_fields(node):
        for i, child in enumerate(value if isinstance(value, list) else [value]):
            if field == "annotation" or isinstance(child, ast.stmt):
                continue
            if isinstance(child, ast.expr | ast.operator | ast.cmpop):
                yield Place(child, node, field, _setter(node, field, value, i))
            if isinstance(child, ast.AST):
                yield from _places(child)


def _setter(node: ast.AST, field: str, value: Any, i: int) -> Callable[[Any], None]:
    if isinstance(value, list):
        return lambda new: value.__setitem__(i, new)
    return lambda new: setattr(node, field, new)


def _text(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__


def _condition(value: bool) -> Callable[[Place], ast.AST | None]:
    """A condition that is always ``value``."""

    def change(place: Place) -> ast.AST | None:
        endless = isinstance(place.parent, ast.While) and (
            value or isinstance(place.node, ast.Constant)
        )
        if place.field in ("test", "ifs") and not endless:
            return ast.Constant(value)
        return None

    return change


def _swapped(pairs: dict[type, type]) -> Callable[[Place], ast.AST | None]:
    """The other operator of a pair."""
    pairs = pairs | {b: a for a, b in pairs.items()}

    def change(place: Place) -> ast.AST | None:
        other = pairs.get(type(place.node))
        return other and other()

    return change


def _larger(place: Place) -> ast.AST | None:
    """An integer constant, one larger."""
    if isinstance(place.node, ast.Constant) and type(place.node.value) is int:
        return ast.Constant(place.node.value + 1)
    return None


def _first_operand(place: Place) -> ast.AST | None:
    """The first operand of an arithmetic operation, alone."""
    return place.node.left if isinstance(place.node, ast.BinOp) else None


def _shift(place: Place) -> ast.AST | None:
    """One more, where something is indexed with, compared, assigned or handed over."""
    node, parent, field = place.node, place.parent, place.field
    if not isinstance(node, ast.Name | ast.Attribute | ast.BinOp):
        return None
    used = (
        field in ("slice", "lower", "upper", "elt", "comparators")
        or (field == "elts" and isinstance(getattr(parent, "ctx", None), ast.Load))
        or (field == "value" and isinstance(parent, ast.Assign | ast.AugAssign))
        or (
            field == "args" and isinstance(getattr(parent, "func", None), ast.Attribute)
        )
    )
    return ast.BinOp(node, ast.Add(), ast.Constant(1)) if used else None


OPERATORS: dict[str, Callable[[Place], ast.AST | None]] = {
    "never": _condition(False),
    "always": _condition(True),
    "boundary": _swapped({ast.Lt: ast.LtE, ast.Gt: ast.GtE}),
    "equality": _swapped({ast.Eq: ast.NotEq}),
    "sign": _swapped({ast.Add: ast.Sub}),
    "larger": _larger,
    "first operand": _first_operand,
    "shift": _shift,
}
