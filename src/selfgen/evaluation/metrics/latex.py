r"""Was the final answer of a MATH problem right? Equivalence of LaTeX, by ``math-verify``.

``strict``: the answer in the last box of the reply, which is how references end.
``flexible``: the last box, else the last formula, else the last number. Both are compared as
mathematics and not as text, with a time limit. Only the grammar-based parser of the package
is used: its other one, for plain expressions, evaluates Python.
"""

from __future__ import annotations

import re

from selfgen.core.errors import UserError
from selfgen.data.final_answers import boxed
from selfgen.evaluation.metric import readings

SECONDS = 5
"""Most time of one parse and of one comparison; what takes longer is wrong."""

_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.S)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")


def strict(text: str, answer: str) -> bool:
    """Is what the last box holds equal to the answer? A text without a box is wrong."""
    given = boxed(text)
    return given is not None and equivalent(given, answer)


def flexible(text: str, answer: str) -> bool:
    """Is the last box, formula or number of a text equal to the answer?"""
    given = boxed(text)
    if given is None:
        formulas = [next(filter(None, groups)) for groups in _FORMULA.findall(text)]
        given = formulas[-1] if formulas else None
    if given is None:
        numbers = _NUMBER.findall(text)
        given = numbers[-1] if numbers else None
    return given is not None and equivalent(given, answer)


def equivalent(given: str, answer: str) -> bool:
    """Do two pieces of LaTeX say the same? Equal text does, whatever it is."""
    if given.strip() == answer.strip():
        return True
    try:
        from math_verify import LatexExtractionConfig, parse, verify
    except ImportError:
        raise UserError(
            "MATH: cannot import math_verify; pip install math-verify"
        ) from None

    options = {
        "extraction_config": [LatexExtractionConfig()],
        "parsing_timeout": SECONDS,
    }
    gold, target = (parse(f"${text}$", **options) for text in (answer, given))
    return bool(verify(gold, target, timeout_seconds=SECONDS))


METRIC = readings(strict, flexible)
