"""Pairwise comparison: what a judge is asked about two answers, and its judgment in a reply.

The procedure is that of summarize_from_feedback_details (eval/oai.py): one question a pair,
a random order of the answers in each, the judgment on a line of its own. Two things differ:
the order is drawn by address (seed and id), and a reply without a judgment is
counted as such.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.hashing import unit
from selfgen.judge.spec import ComparisonSpec

PLACES = ("{{post}}", "{{summarya}}", "{{summaryb}}")
"""Placeholders of a judge prompt, by the names of the codebase."""

SYSTEM = "You are a helpful assistant."

_NOUN = "(?:answer|summary|response|reply|option|one|choice)"

PREFERRED = re.compile(
    rf"""
    (?<! [^\W_] ) preferred (?:[ ]+ {_NOUN} )? [*_"'`]*+ (?: \s*+ [:=] | [ ]+ is \b )
    [\W_]*+ (?: the [ ] )? (?: {_NOUN} [\W_]++ )?
    ([AB] | both | neither | none | tie) (?! [^\W_] )
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Where a reply names a winner or none, after a colon or "is"; the last such place counts."""

_TURNED = re.compile(
    r"\b(?:least|less|not|non|never|no|isn't|dis|un|neither|nor|worse|worst)\b", re.I
)
"""Words before "preferred", in its clause, that turn its sense."""

_CLAUSE = re.compile(r"[.!?;:,()\n]|\s[-\u2013\u2014]\s")
_CLAUSE_CHARACTERS = 60

_CHOSEN = re.compile(
    rf"""
    (?! [ \t,/&(>-]*+ (?: (?:or|and|vs\.?|versus) [ ] )?
        (?: {_NOUN} [ ] )? [AB] [ \t).>]*+ $ )
    [^\S\n]*+ (?: (?: [^\w\s.,;:!(\u2013\u2014/&|=+-] | _ )++ [^\S\n]*+ )?+
    (?: $ | [.,;:!(\u2013\u2014-] | (?:because|since|as|for|due|by|over|is|it|with) \b )
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
"""What follows a letter that is a choice: nothing, punctuation or a reason; so that "A or B",
"A, B" and "A tie" are none."""


@dataclass(frozen=True)
class Pair:
    """An answer to a prompt and its opponent; ``first``: whether the answer is shown as A,
    None where no order is shown."""

    id: str
    prompt: str
    answer: str
    opponent: str
    first: bool | None = None
    reference: str = ""


def ordered(pairs: Sequence[Pair], spec: ComparisonSpec) -> list[Pair]:
    """The pairs in an order drawn by address, or each in both orders."""
    if spec.orders == "both":
        return [replace(pair, first=first) for pair in pairs for first in (True, False)]
    order = f"order/{spec.seed}"
    return [replace(pair, first=unit(pair.id, order) < 0.5) for pair in pairs]


def request_of(pair: Pair, template: str, spec: ComparisonSpec) -> dict[str, Any]:
    """What the judge is asked about a pair."""
    a, b = (pair.answer, pair.opponent) if pair.first else (pair.opponent, pair.answer)
    texts = dict(zip(PLACES, (pair.prompt, a, b), strict=True))
    # All at once, so that a text that holds a place is not filled in itself.
    pattern = "|".join(map(re.escape, PLACES))
    content = re.sub(pattern, lambda match: texts[match[0]].strip(), template)
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": content},
        ],
        "temperature": spec.temperature,
        "max_tokens": spec.max_tokens,
    }


def template_of(text: str, constant: str | None = None) -> str:
    """A judge prompt from the text of a file: the text itself, or the string that a Python
    file assigns to ``constant``. The file is parsed, never run.

    Raises UserError: no such string, or a prompt that lacks a place.
    """
    if constant is not None:
        text = _constant(text, constant)
    missing = [place for place in PLACES if place not in text]
    if missing:
        raise UserError(f"judge prompt: found no {', '.join(missing)} in it")
    return text


def _constant(source: str, name: str) -> str:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise UserError(f"judge prompt: not a Python file: {error.msg}") from None
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            names = [t.id for t in node.targets if isinstance(t, ast.Name)]
            if name in names and isinstance(node.value.value, str):
                return node.value.value
    raise UserError(f"judge prompt: found no text named {name} in the Python file")


def judgment_of(reply: str) -> str | None:
    """``A`` or ``B``; None where the reply does not say."""
    for match in reversed([*PREFERRED.finditer(reply)]):
        before = reply[max(0, match.start() - _CLAUSE_CHARACTERS) : match.start()]
        if not _TURNED.search(_CLAUSE.split(before)[-1]):
            chosen = len(match[1]) == 1 and _CHOSEN.match(reply, match.end())
            return match[1].upper() if chosen else None
    return None


def judged(
    pairs: Sequence[Pair], replies: Sequence[str], spec: ComparisonSpec
) -> list[dict[str, Any]]:
    """Rows ``{id, first, judgment, won, words, opponent_words, reply}``.

    ``judgment``: ``A``, ``B`` or nothing; ``won``: 1 where the answer was preferred, 0 where
    its opponent was; without a judgment None, or with ``spec.unparsable`` ``coin`` a draw by
    address, as the codebase draws.
    """
    rows = []
    for pair, reply in zip(pairs, replies, strict=True):
        judgment = judgment_of(reply)
        won = None if judgment is None else float((judgment == "A") == pair.first)
        if won is None and spec.unparsable == "coin":
            won = float(unit(pair.id, f"coin/{spec.seed}/{pair.first}") < 0.5)
        rows.append(row_of(pair, judgment or "", won, reply))
    return rows


def row_of(pair: Pair, judgment: str, won: float | None, reply: str) -> dict[str, Any]:
    """One row of ``judged``."""
    return {
        "id": pair.id,
        "first": pair.first,
        "judgment": judgment,
        "won": won,
        "words": len(pair.answer.split()),
        "opponent_words": len(pair.opponent.split()),
        "reply": reply,
    }
