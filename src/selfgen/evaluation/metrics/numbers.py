"""Was the final number right? The two GSM8K graders of lm-evaluation-harness.

Regular expressions and normalisations are those of its task ``gsm8k`` version 3.0,
quirks included (``5...`` is read as ``5..``, which is no number). Two things differ,
and neither changes a grade on GSM8K, whose answers are whole numbers: numbers are
compared as numbers (``6`` is ``6.0``), and a fraction is read as one where the gold
answer is a fraction.
"""

from __future__ import annotations

import re
from fractions import Fraction

from selfgen.evaluation.metric import readings

STRICT = re.compile(r"#### (\-?[0-9\.\,]+)")
FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_STRICT_FRACTION = re.compile(r"#### (\-?[0-9\.\,]+(?:/[0-9]+)?)")
_FLEXIBLE_FRACTION = re.compile(r"(-?[$0-9.,]*[0-9]/[0-9]+)|" + FLEXIBLE.pattern)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:/\d+)?")
_LAST_PERIOD = re.compile(r"\.$")
_LONGEST = 100
"""Characters of a number; a longer one is compared as text."""


def strict(text: str, answer: str) -> bool:
    """Does the first ``#### number`` equal the answer? (lm-eval strict-match)

    A text without the mark is wrong.
    """
    pattern = _STRICT_FRACTION if "/" in answer else STRICT
    match = pattern.search(text)
    return match is not None and same(match.group(1), answer)


def flexible(text: str, answer: str) -> bool:
    """Does the last number of the text equal the answer? (lm-eval flexible-extract)

    A text without a number is wrong.
    """
    pattern = _FLEXIBLE_FRACTION if "/" in answer else FLEXIBLE
    numbers = [match.group() for match in pattern.finditer(text)]
    return bool(numbers) and same(numbers[-1], answer)


def same(given: str, answer: str) -> bool:
    """Are two answers equal: as numbers where both are, else as normalised text?"""
    given, answer = _normalise(given), _normalise(answer)
    numbers = _number(given), _number(answer)
    if None in numbers:
        return given == answer
    return numbers[0] == numbers[1]


def _normalise(text: str) -> str:
    # The package removes commas, dollars, all up to the last "#### " and a last period.
    text = text.replace(",", "").replace("$", "").rpartition("#### ")[2]
    return _LAST_PERIOD.sub("", text).strip().lower()


def _number(text: str) -> Fraction | None:
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        return None
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


METRIC = readings(strict, flexible)
