"""Which of two answers is better: the words of the question, and the verdict of a reply.

The procedure is that of summarize_from_feedback_details (eval/oai.py): one question a pair,
the order of the answers drawn for each, the verdict on a line of its own. Two things differ:
the draw has an address (seed and id), and a reply without a verdict is counted as such.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfgen.core.errors import UserError
from selfgen.core.hashing import unit
from selfgen.judge.spec import PairsSpec

PLACES = ("{{post}}", "{{summarya}}", "{{summaryb}}")
"""What a judge prompt must hold; the names are those of the codebase."""

SYSTEM = "You are a helpful assistant."

VERDICT = re.compile(r"Preferred:\W*(?:Summary\s+)?([AB])\W*$", re.M)
"""The last one of a reply counts."""


@dataclass(frozen=True)
class Pair:
    """One answer and its opponent; ``first``: whether the answer is shown as A."""

    id: str
    prompt: str
    answer: str
    opponent: str
    first: bool


def pairs_of(
    prompts: Mapping[str, str],
    answers: Mapping[str, str],
    opponents: Mapping[str, str],
    spec: PairsSpec,
) -> list[Pair]:
    """The pairs of all ids of ``answers``, in an order drawn by address, or in both.

    Raises UserError: an answer without prompt or opponent.
    """
    missing = [i for i in answers if i not in prompts or i not in opponents]
    if missing:
        raise UserError(
            f"pairs: {len(missing)} answers without an opponent: {', '.join(missing[:3])}"
        )
    orders = (True, False) if spec.orders == "both" else (None,)
    return [
        Pair(i, prompts[i], answer, opponents[i], _first(spec.seed, i, order))
        for i, answer in answers.items()
        for order in orders
    ]


def _first(seed: int, name: str, order: bool | None) -> bool:
    return unit(name, f"order/{seed}") < 0.5 if order is None else order


def request_of(pair: Pair, template: str, spec: PairsSpec) -> dict[str, Any]:
    """What the judge is asked about a pair."""
    a, b = (pair.answer, pair.opponent) if pair.first else (pair.opponent, pair.answer)
    texts = dict(zip(PLACES, (pair.prompt, a, b), strict=True))
    # All at once, so that a text that holds a place is not filled in itself.
    pattern = "|".join(map(re.escape, PLACES))
    content = re.sub(pattern, lambda found: texts[found[0]].strip(), template)
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


def verdict_of(reply: str) -> str | None:
    """``A`` or ``B``; None where the reply does not say."""
    found = VERDICT.findall(reply)
    return found[-1] if found else None


def judged(
    pairs: Sequence[Pair], replies: Sequence[str], spec: PairsSpec
) -> list[dict[str, Any]]:
    """Rows ``{id, first, verdict, won, words, opponent_words, reply}``.

    ``won``: 1 where the answer was preferred, 0 where its opponent was; without a verdict
    None, or with ``spec.unparsable`` ``coin`` a draw by address, as the codebase draws.
    """
    rows = []
    for pair, reply in zip(pairs, replies, strict=True):
        verdict = verdict_of(reply)
        won = None if verdict is None else float((verdict == "A") == pair.first)
        if won is None and spec.unparsable == "coin":
            won = float(unit(pair.id, f"coin/{spec.seed}/{pair.first}") < 0.5)
        rows.append(
            {
                "id": pair.id,
                "first": pair.first,
                "verdict": verdict or "",
                "won": won,
                "words": len(pair.answer.split()),
                "opponent_words": len(pair.opponent.split()),
                "reply": reply,
            }
        )
    return rows
