r"""Was the final answer of a MATH problem right? Equivalence of LaTeX, by ``math-verify``.

``strict``: the answer in the last box of the reply, which is how references end.
``flexible``: the last box, else the last formula, else the last number. Both are compared as
mathematics and not as text, with a time limit, from any thread. Percent signs do not count,
as in the grader of MATH's authors: ``50\%`` is 50. Only the grammar-based parser of the
package is used: its other one, for plain expressions, evaluates Python.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from collections import deque
from collections.abc import Iterator

from selfgen.core.errors import UserError
from selfgen.data.final_answers import boxed
from selfgen.evaluation.metric import readings
from selfgen.runtime import limited

SECONDS = 5
"""Most time of one comparison; what takes longer is wrong."""

LONGEST = 400
"""Characters; a longer answer is right only where its text is that of the gold answer, none
of which is half as long in MATH."""

_OPENING = re.compile(r"\\\$|\$\$|\$|\\\(|\\\[")
_CLOSING = {"$$": "$$", "$": "$", "\\(": "\\)", "\\[": "\\]"}
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")
_PERCENT = re.compile(r"(?:\\[ ,;:!]|~|\s)*+(?:\\?%|\\text\{ ?per ?cent\}|per ?cent\b)")
_PUNCTUATION = re.compile(r"(?<![.,;:\\])[.,;:]+\Z")


def strict(text: str, answer: str) -> bool:
    """Is what the last box holds equal to the answer? A text without a box is wrong."""
    given = boxed(text)
    return given is not None and equivalent(given, answer)


def flexible(text: str, answer: str) -> bool:
    """Is the last box, formula or number of a text equal to the answer?"""
    given = boxed(text)
    if given is None:
        given = _last(_formulas(text))
    if given is None:
        given = _last(match[0] for match in _NUMBER.finditer(text))
    return given is not None and equivalent(given, answer)


def equivalent(given: str, answer: str) -> bool:
    """Do two pieces of LaTeX say the same? Equal text does, whatever it is, but for none.

    Raises UserError: ``math_verify`` cannot be imported.
    """
    given, answer = given.strip(), answer.strip()
    if not given or not answer:
        return False
    if given == answer:
        return True
    if max(len(given), len(answer)) > LONGEST:
        return False
    given, answer = _plain(given), _plain(answer)
    if given == answer:
        return True
    if importlib.util.find_spec("math_verify") is None:
        raise UserError("MATH: cannot import math_verify; pip install math-verify")
    try:
        called = f"{__name__}:verified"
        return bool(
            limited.call(
                called, given, answer, seconds=SECONDS, easy=(r"\frac12", "0.5")
            )
        )
    except limited.TimedOut:
        return False


def verified(given: str, answer: str) -> bool:
    """``equivalent`` of two texts that differ, without a limit of time."""
    from math_verify import LatexExtractionConfig, parse, verify

    # It warns of the limit that ``limited`` sets instead.
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    options = {"extraction_config": [LatexExtractionConfig()], "parsing_timeout": None}
    gold, target = (parse(f"${text}$", **options) for text in (answer, given))
    return bool(verify(gold, target, timeout_seconds=None))


def _plain(text: str) -> str:
    """Without percent signs, blanks and the punctuation of the sentence around it."""
    return _PUNCTUATION.sub("", _PERCENT.sub("", text).strip()).strip()


def _formulas(text: str) -> Iterator[str]:
    """What stands between dollars, ``\\(...\\)`` or ``\\[...\\]``, from the left."""
    start = 0
    unclosed: set[str] = set()
    while opening := _OPENING.search(text, start):
        start = opening.end()
        mark = opening[0]
        if mark not in _CLOSING or mark in unclosed:
            continue
        closing = _CLOSING[mark]
        end = text.find(closing, start)
        while mark == "$" and end > start and text[end - 1] == "\\":
            end = text.find(closing, end + 1)
        if end < 0:
            # Nor after a later one: it is not looked for again.
            unclosed.add(mark)
            continue
        if end > start:
            yield text[start:end]
        start = end + len(closing)


def _last(items: Iterator[str]) -> str | None:
    return next(iter(deque(items, maxlen=1)), None)


METRIC = readings(strict, flexible)
