"""A restricted expression language: templates are data and never run as code.

``parse`` turns a Python-like expression into nested closures once; evaluating it looks
names up in a mapping. Allowed are numbers, strings, True and False, lists, tuples,
names, ``+ - * / // % **`` on numbers, comparisons, ``and or not``, ``a if c else b``,
and calls of the given functions by position. Attributes, subscripts, lambdas,
comprehensions, f-strings and all the rest of Python are refused. Sizes are bounded, so
that a hostile expression can neither hang nor fill the memory.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from typing import Any

from selfgen.core.errors import UserError

Evaluate = Callable[[Mapping[str, Any]], Any]

MAX_SOURCE_CHARACTERS = 4_000
MAX_NODES = 1_000
MAX_CONSTANT = 10**12
MAX_POWER_BASE = 10**6
MAX_POWER_EXPONENT = 16

_NUMBERS = frozenset({int, float, Fraction})


def _power(base: Any, exponent: Any) -> Any:
    if type(exponent) is not int or not 0 <= exponent <= MAX_POWER_EXPONENT:
        raise ValueError(f"exponent {exponent} is not in 0..{MAX_POWER_EXPONENT}")
    if abs(base) > MAX_POWER_BASE:
        raise ValueError(f"a power of more than {MAX_POWER_BASE}")
    return base**exponent


_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class _Refused(Exception):
    """What in an expression is not allowed."""


def names_in(source: str) -> set[str]:
    """The names that stand in an expression; empty when it cannot be parsed."""
    try:
        tree = ast.parse(source[:MAX_SOURCE_CHARACTERS], mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def parse(
    source: str,
    names: Collection[str],
    functions: Mapping[str, Callable[..., Any]],
    where: str,
) -> Evaluate:
    """A function from an environment (name -> value) to the value of ``source``.

    ``names`` are the variables that the environment will hold; ``where`` opens the
    error messages (a template's name).

    Raises:
        UserError: the expression holds anything that is not allowed. The returned
            function raises it for a value that cannot be computed (a division by zero,
            a number times a string).
    """
    try:
        if len(source) > MAX_SOURCE_CHARACTERS:
            raise _Refused(f"longer than {MAX_SOURCE_CHARACTERS} characters")
        # ast.parse builds a tree and runs nothing
        tree = ast.parse(source.strip(), mode="eval")
        if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
            raise _Refused(f"more than {MAX_NODES} parts")
        inner = _Builder(names, functions).build(tree.body)
    except _Refused as error:
        raise UserError(f"{where}: {_shown(source)}: {error}") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{where}: {_shown(source)}: not an expression") from error

    def evaluate(env: Mapping[str, Any]) -> Any:
        try:
            return inner(env)
        except (
            ArithmeticError,
            TypeError,
            ValueError,
            LookupError,
            RecursionError,
        ) as error:
            raise UserError(f"{where}: {_shown(source)}: {error}") from error

    return evaluate


def _shown(source: str) -> str:
    return repr(source if len(source) <= 80 else f"{source[:77]}...")


class _Builder:
    """Walks a tree once and refuses every node that is not on the list."""

    def __init__(
        self, names: Collection[str], functions: Mapping[str, Callable[..., Any]]
    ) -> None:
        self._names = names
        self._functions = functions
        self._allowed: dict[type[ast.expr], Callable[[Any], Evaluate]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.List: self._items,
            ast.Tuple: self._items,
            ast.BinOp: self._binary,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._boolean,
            ast.Compare: self._compare,
            ast.IfExp: self._choice,
            ast.Call: self._call,
        }

    def build(self, node: ast.expr) -> Evaluate:
        builder = self._allowed.get(type(node))
        if builder is None:
            raise _Refused(f"{type(node).__name__} is not allowed")
        return builder(node)

    def _constant(self, node: ast.Constant) -> Evaluate:
        value = node.value
        if not isinstance(value, int | float | str):
            raise _Refused(f"the constant {value!r} is not allowed")
        # "not <=" refuses nan and infinity too
        if not isinstance(value, str) and not abs(value) <= MAX_CONSTANT:
            raise _Refused(f"a constant larger than {MAX_CONSTANT}")
        return lambda env: value

    def _name(self, node: ast.Name) -> Evaluate:
        if node.id not in self._names:
            raise _Refused(f"unknown name {node.id!r}")
        return operator.itemgetter(node.id)

    def _items(self, node: ast.List | ast.Tuple) -> Evaluate:
        kind = list if isinstance(node, ast.List) else tuple
        items = [self.build(item) for item in node.elts]
        return lambda env: kind([item(env) for item in items])

    def _binary(self, node: ast.BinOp) -> Evaluate:
        function = _ARITHMETIC.get(type(node.op))
        if function is None:
            raise _Refused(f"the operator {type(node.op).__name__} is not allowed")
        left, right = self.build(node.left), self.build(node.right)

        def run(env: Mapping[str, Any]) -> Any:
            a, b = left(env), right(env)
            # "*" on strings and lists would make them long
            if type(a) not in _NUMBERS or type(b) not in _NUMBERS:
                raise TypeError("arithmetic on something that is not a number")
            return function(a, b)

        return run

    def _unary(self, node: ast.UnaryOp) -> Evaluate:
        operand = self.build(node.operand)
        function = _UNARY.get(type(node.op))
        if function is None:
            raise _Refused(f"the operator {type(node.op).__name__} is not allowed")
        return lambda env: function(operand(env))

    def _boolean(self, node: ast.BoolOp) -> Evaluate:
        values = [self.build(value) for value in node.values]
        decide = all if isinstance(node.op, ast.And) else any
        return lambda env: decide(value(env) for value in values)

    def _compare(self, node: ast.Compare) -> Evaluate:
        steps = []
        for comparison, operand in zip(node.ops, node.comparators, strict=True):
            function = _COMPARISONS.get(type(comparison))
            if function is None:
                raise _Refused(f"{type(comparison).__name__} is not allowed")
            steps.append((function, self.build(operand)))
        first = self.build(node.left)

        def run(env: Mapping[str, Any]) -> bool:
            left = first(env)
            for function, operand in steps:
                right = operand(env)
                if not function(left, right):
                    return False
                left = right
            return True

        return run

    def _choice(self, node: ast.IfExp) -> Evaluate:
        test = self.build(node.test)
        body, otherwise = self.build(node.body), self.build(node.orelse)
        return lambda env: body(env) if test(env) else otherwise(env)

    def _call(self, node: ast.Call) -> Evaluate:
        if not isinstance(node.func, ast.Name) or node.func.id not in self._functions:
            raise _Refused(f"unknown function {ast.unparse(node.func)[:40]!r}")
        if node.keywords:
            raise _Refused("keyword arguments are not allowed")
        function = self._functions[node.func.id]
        arguments = [self.build(argument) for argument in node.args]
        return lambda env: function(*[argument(env) for argument in arguments])
