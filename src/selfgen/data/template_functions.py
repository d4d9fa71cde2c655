"""The functions that math templates may call, on values and on ranges of values.

Each checks its arguments: whatever a template holds, no call is slow or large.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_CHOICES = 100_000
MAX_SAMPLE = 10
MAX_DIGITS = 12


def plain_number(value: Any) -> Any:
    """The number that a text writes ("3", "0.5", "1/4"), else the value itself."""
    if isinstance(value, str):
        if re.fullmatch(r"-?[0-9]+", value):
            value = int(value)
        elif re.fullmatch(r"-?[0-9]+\.[0-9]+", value):
            value = float(value)
        elif re.fullmatch(r"-?[0-9]+/0*[1-9][0-9]*", value):
            value = Fraction(value)
    # "6.0 dollars" reads badly in a question
    return int(value) if isinstance(value, float) and value.is_integer() else value


# --- functions of conditions and answers ---


def _is_int(value: Any) -> bool:
    if isinstance(value, float):
        return abs(value - round(value)) < 1e-6
    return isinstance(value, int) or value.denominator == 1


def _ensure_int(value: Any) -> int:
    if not _is_int(value):
        raise ValueError(f"{value} is not a whole number")
    return round(value)


def _divides(a: Any, b: Any) -> bool:
    return b != 0 and a % b == 0


def _round(value: Any, digits: int = 0) -> Any:
    if not 0 <= digits <= MAX_DIGITS:
        raise ValueError(f"round to {digits} digits is not in 0..{MAX_DIGITS}")
    return round(value, digits) if digits else round(value)


def _fraction(value: Any) -> str:
    """A float as the shortest fraction: 0.8 -> "4/5"."""
    return str(Fraction(value).limit_denominator())


def _on_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """int("9" * n) and the like are refused: these functions take numbers only."""

    def checked(*values: Any) -> Any:
        for value in values:
            if not isinstance(value, int | float | Fraction):
                raise TypeError(f"{value!r} is not a number")
        return function(*values)

    return checked


VALUE_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "int": _on_numbers(int),
    "float": _on_numbers(float),
    "round": _on_numbers(_round),
    "is_int": _on_numbers(_is_int),
    "ensure_int": _on_numbers(_ensure_int),
    "divides": _on_numbers(_divides),
    "Fraction": _on_numbers(_fraction),
}


# --- functions of #init lines: all the values that a variable can take ---


def _bounded(count: float) -> None:
    if count > MAX_CHOICES:
        raise ValueError(f"more than {MAX_CHOICES} choices")


def _range(start: int, end: int, step: int = 1) -> list[int]:
    _bounded(len(range(start, end, step)))
    return list(range(start, end, step))


def _range_str(start: int, end: int, step: int, words: list[str]) -> list[Any]:
    """Pairs (word, number): ("two", 2), ("three", 3), ..."""
    return [(words[i - 1], i) for i in _range(start, end, step)]


def _arange(start: float, end: float, step: float = 1) -> list[float]:
    """Numbers from start to end, both included, with the decimals of the step."""
    decimals = max(0, -int(Decimal(str(step)).as_tuple().exponent))
    count = round((end - start) / step) + 1
    _bounded(count)
    width = (end - start) / max(1, count - 1)
    return [round(start + i * width, decimals) for i in range(count)]


class Combinations(Sequence[tuple[Any, ...]]):
    """The choices of ``count`` items in the order of the list, made when asked for.

    Five of forty names are 658,008 combinations: too many to keep.
    """

    def __init__(self, items: list[Any], count: int) -> None:
        if not 1 <= count <= min(MAX_SAMPLE, len(items)):
            raise ValueError(f"cannot choose {count} of {len(items)}")
        self._items = [plain_number(item) for item in items]
        self.width = count

    def __len__(self) -> int:
        return math.comb(len(self._items), self.width)

    def __getitem__(  # type: ignore[override]  # no slices
        self, index: int
    ) -> tuple[Any, ...]:
        chosen, at = [], 0
        for left in reversed(range(self.width)):
            # skip the blocks of combinations that open with an earlier item
            while index >= (block := math.comb(len(self._items) - at - 1, left)):
                index -= block
                at += 1
            chosen.append(self._items[at])
            at += 1
        return tuple(chosen)


def _sample(items: list[Any], count: int = 1) -> list[Any] | Combinations:
    return list(items) if count == 1 else Combinations(items, count)


def _sample_sequential(items: list[Any], count: int) -> list[Any]:
    """Every run of ``count`` neighbours, the first item following the last."""
    _bounded(len(items) * count)
    size = len(items)
    return [[items[(i + j) % size] for j in range(count)] for i in range(size)]


POOL_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "range": _range,
    "range_list": _range,
    "range_str": _range_str,
    "arange": _arange,
    "sample": _sample,
    "sample_sequential": _sample_sequential,
}
