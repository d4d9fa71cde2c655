"""Math problem templates: text with variables, their ranges, and conditions on them.

The language is the one of GSM-Symbolic's annotated questions. A question such as
``{n,Ann} has {x,3} coins`` is followed by ``#init:`` (``- $x = range(2, 9)``) and
``#conditions:`` (``- divides(x, 2)``); the worked answer holds expressions in braces
and calculator marks ``<<3*2=6>>``. ``expressions`` parses all of it; nothing is run.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from selfgen.core.errors import UserError
from selfgen.data.expressions import Evaluate, names_in, parse
from selfgen.data.template_functions import (
    POOL_FUNCTIONS,
    VALUE_FUNCTIONS,
    Combinations,
    plain_number,
)

MAX_REJECTIONS = 200_000

_SECTION = re.compile(r"^#(init|conditions|answer):", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{(\w+),[^}]*\}")
_EXPRESSION = re.compile(r"\{([^}]+)\}")
_LONG_NUMBER = re.compile(r"\b(\d+)(\.\d+)?\b")
_UNFORMATTED = re.compile(r"(<<[^>]*>>|####\s*-?\d[\d.,]*)")
_SENTENCE_START = re.compile(r"([.!?]+\s*)([a-z])")

# the variables of an #init line, and the rows of values that they take together
Pool = tuple[list[str], Sequence[Sequence[Any]]]


class Template:
    """One parsed template; ``draw`` makes problems of it.

    ``ident`` is the template's number as text. Errors are UserErrors that name the
    template and the expression.
    """

    def __init__(
        self, toml: bytes, replacements: Mapping[str, list[Any]], where: str
    ) -> None:
        try:
            data = tomllib.loads(toml.decode("utf-8"))
            question = data["question_annotated"].strip("\n")
            answer = data["answer_annotated"].strip("\n")
            self.ident = str(data["id_shuffled"])
        except (ValueError, KeyError) as error:
            raise UserError(f"{where}: not a problem template: {error}") from error
        self._where = where
        head, *rest = _SECTION.split(question)
        sections = dict(zip(rest[::2], rest[1::2], strict=True))
        self._question = head.splitlines()[0].strip()
        assignments = [self._assignment(x) for x in _items(sections.get("init", ""))]
        conditions = [x for x in _items(sections.get("conditions", "")) if x != "True"]
        names = {name for variables, _ in assignments for name in variables}
        for name in _PLACEHOLDER.findall(self._question):
            if name not in names:
                raise UserError(f"{where}: {{{name}}} has no #init line")
        tested = set().union(*map(names_in, conditions))
        self._tested: list[Pool] = []
        self._free: list[Pool] = []
        self._derived: list[tuple[str, Evaluate]] = []
        for variables, source in assignments:
            if names_in(source) & names:
                # computed from other variables once they are drawn
                value = parse(source, names, VALUE_FUNCTIONS, where)
                self._derived.append((", ".join(variables), value))
                continue
            pool = variables, self._rows(variables, source, replacements)
            (self._tested if tested & set(variables) else self._free).append(pool)
        self._conditions = [parse(x, names, VALUE_FUNCTIONS, where) for x in conditions]
        # literal text at even places, the index of an expression at odd ones
        self._answer = _EXPRESSION.split(answer)
        self._values = {
            x: parse(x, names, VALUE_FUNCTIONS, where) for x in set(self._answer[1::2])
        }

    def _assignment(self, line: str) -> tuple[list[str], str]:
        left, sign, right = line.partition("=")
        variables = [name.strip(" $") for name in left.split(",")]
        if not sign or not all(name.isidentifier() for name in variables):
            raise UserError(f"{self._where}: {line!r} is not 'name, ... = expression'")
        return variables, right.strip()

    def _rows(
        self, variables: list[str], source: str, replacements: Mapping[str, list[Any]]
    ) -> Sequence[Sequence[Any]]:
        rows = parse(source, replacements, POOL_FUNCTIONS, self._where)(replacements)
        if isinstance(rows, list) and len(variables) == 1:
            rows = [(value,) for value in rows]
        if isinstance(rows, list) and all(isinstance(r, list | tuple) for r in rows):
            rows = [[plain_number(value) for value in row] for row in rows]
            widths = set(map(len, rows))
        else:
            widths = {rows.width} if isinstance(rows, Combinations) else set()
        if widths != {len(variables)}:
            raise UserError(
                f"{self._where}: {source[:80]!r} does not give values for {variables}"
            )
        return rows

    def draw(self, rng: random.Random) -> tuple[str, str]:
        """A problem: (question, worked answer with its calculator marks).

        Uniform over the combinations that meet the conditions: values are drawn and
        rejected. Listing all combinations first gives the same problems in minutes.

        Raises:
            UserError: no combination met the conditions in ``MAX_REJECTIONS`` draws.
        """
        env: dict[str, Any] = {}
        for names, rows in self._free:
            env.update(zip(names, _pick(rows, rng), strict=True))
        for _ in range(MAX_REJECTIONS):
            for names, rows in self._tested:
                env.update(zip(names, _pick(rows, rng), strict=True))
            if all(condition(env) for condition in self._conditions):
                break
        else:
            raise UserError(
                f"{self._where}: no values met the conditions in {MAX_REJECTIONS} draws"
            )
        for name, value in self._derived:
            env[name] = value(env)
        return self._render_question(env), self._render_answer(env)

    def _render_question(self, env: Mapping[str, Any]) -> str:
        text = _PLACEHOLDER.sub(lambda m: str(env[m[1]]), self._question)
        return _capitalized(_LONG_NUMBER.sub(_with_commas, text))

    def _render_answer(self, env: Mapping[str, Any]) -> str:
        values = {x: _shown(value(env)) for x, value in self._values.items()}
        pieces = list(self._answer)
        pieces[1::2] = [values[x] for x in pieces[1::2]]
        parts = _UNFORMATTED.split("".join(pieces))
        parts[::2] = [_LONG_NUMBER.sub(_with_commas, part) for part in parts[::2]]
        return _capitalized("".join(parts))


def _items(section: str) -> list[str]:
    lines = (line.strip().removeprefix("-").strip() for line in section.splitlines())
    return [line for line in lines if line]


def _pick(rows: Sequence[Sequence[Any]], rng: random.Random) -> Sequence[Any]:
    # random() is the one method whose values never change between Python versions
    return rows[int(rng.random() * len(rows))]


def _shown(value: Any) -> str:
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _with_commas(match: re.Match[str]) -> str:
    whole, decimals = match[1], match[2] or ""
    return f"{int(whole):,}{decimals}" if int(whole) >= 10_000 else match[0]


def _capitalized(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return _SENTENCE_START.sub(lambda m: m[1] + m[2].upper(), text)
