"""What was found of some models on the same prompts: numbers, differences, files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.provenance import atomic
from selfgen.evaluation.statistics import Interval
from selfgen.measures.base import Measure, Rows, difference, interval
from selfgen.measures.lengths import reached
from selfgen.measures.registry import measures
from selfgen.measures.spec import LENGTHS

if TYPE_CHECKING:
    import pandas

    from selfgen.measures.spec import Check

COMPARED = (
    *("oracle", "task", "prompts", "planted", "length", "answers", "computed"),
    "selfgen",
)
"""What two models that are held against each other must have been read with."""


@dataclass(frozen=True)
class Number:
    """A measure of a model, and the first model's minus it; None of the first itself."""

    measure: Measure
    model: str
    value: Interval
    difference: Interval | None = None


@dataclass(frozen=True)
class Found:
    """``rows``: what was read of each model by name, the measured one first. ``about``: what
    was read, and by which versions, in words. ``lengths``: up to one of which steps errors
    against the oracle are summed (``lengths.reached``)."""

    rows: Mapping[str, Rows]
    checks: Mapping[str, Sequence[Check]]
    about: Mapping[str, str] = field(default_factory=dict)
    confidence: float = 0.95
    lengths: Sequence[int] = LENGTHS

    @property
    def first(self) -> str:
        return next(iter(self.rows))

    def against(self, *others: Found) -> Found:
        """With the differences to other models, on the prompts that all have.

        Raises UserError: two have one name; other prompts, seeds, references or settings.
        """
        rows, checks = dict(self.rows), dict(self.checks)
        for other in others:
            self._alike(other)
            for name in other.rows:
                if name in rows:
                    raise UserError(
                        f"against: found two models of the name {name}, allowed: names of"
                        " their own"
                    )
            rows |= other.rows
            checks |= other.checks
        return replace(self, rows=rows, checks=checks)

    def _alike(self, other: Found) -> None:
        """Raises UserError: the two do not compare."""
        for key in COMPARED:
            own, theirs = self.about.get(key), other.about.get(key)
            if own != theirs:
                raise UserError(
                    f"against: found {key} {theirs!r} of {other.first} and {own!r} of"
                    f" {self.first}, allowed: the same"
                )
        mine, others = (
            {i: (r["prompt"], list(r["reference_ids"])) for i, r in by_id.items()}
            for found in (self, other)
            for by_id in [next(iter(found.rows[found.first].values()))]
        )
        both = set(mine) & set(others)
        if not both or any(mine[i] != others[i] for i in both):
            raise UserError(
                f"against: found {other.first} on other prompts or references than"
                f" {self.first}, allowed: the same data, and tokenizers that read it alike"
            )

    @cached_property
    def length(self) -> int:
        """The step up to which errors against the oracle are summed, of all models."""
        return reached(self.rows.values(), self.lengths)

    @cached_property
    def numbers(self) -> list[Number]:
        """All measures that apply, each of every model, in the order of the registry."""
        found = []
        for measure in measures(self.length):
            for name, rows in self.rows.items():
                value = interval(measure, rows, self.confidence)
                if value is None:
                    continue
                other = None
                if name != self.first:
                    other = difference(
                        measure, self.rows[self.first], rows, self.confidence
                    )
                found.append(Number(measure, name, value, other))
        return found

    def number(self, measure: str, model: str = "") -> Number | None:
        """One of them, of the first model by default."""
        wanted = (measure, model or self.first)
        return next(
            (n for n in self.numbers if (n.measure.name, n.model) == wanted), None
        )

    def table(self) -> pandas.DataFrame:
        """A line a measure and model: ``group``, ``measure``, ``model``, ``value``, ``low``,
        ``high``, ``unit``, ``prompts``, ``seeds``, and ``difference`` with its ends: the
        first model's minus this one's."""
        import pandas as pd

        return pd.DataFrame([_line(number) for number in self.numbers])

    def json(self) -> str:
        """All of it but the rows, as a document."""
        numbers = [
            _line(number)
            | {
                "title": number.measure.title,
                "source": number.measure.source,
                "definition": number.measure.definition,
                "cannot_show": number.measure.cannot,
            }
            for number in self.numbers
        ]
        checks = {
            name: [vars(check) for check in found]
            for name, found in self.checks.items()
        }
        document = {
            "about": dict(self.about),
            "confidence": self.confidence,
            "checks": checks,
            "measures": numbers,
        }
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        return text + "\n"

    def save(self, folder: str | Path) -> Path:
        """Writes ``measure.html``, ``measure.md``, ``measure.json`` and ``measure.tex``; the
        path of the page."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for kind, text in self.texts().items():
            with atomic(folder / f"measure.{kind}") as partial:
                partial.write_text(text, encoding="utf-8")
        return folder / "measure.html"

    def texts(self) -> dict[str, str]:
        """The page by its kinds: html, md, json and tex."""
        from selfgen.report.measured import page, tables

        grid = tables.grid(self)
        return {
            "html": page.html(self),
            "md": tables.markdown(self, grid),
            "json": self.json(),
            "tex": tables.latex(grid),
        }

    def __str__(self) -> str:
        from selfgen.report.measured import words

        return "\n".join(words.lines(self))


def _line(number: Number) -> dict[str, Any]:
    measure, value, other = number.measure, number.value, number.difference

    def scaled(x: float) -> float | None:
        return x * measure.scale if math.isfinite(x) else None

    return {
        "group": measure.group,
        "measure": measure.name,
        "model": number.model,
        "value": scaled(value.value),
        "low": scaled(value.low),
        "high": scaled(value.high),
        "unit": measure.unit,
        "prompts": value.n,
        "seeds": value.seeds,
        "difference": None if other is None else scaled(other.value),
        "difference_low": None if other is None else scaled(other.low),
        "difference_high": None if other is None else scaled(other.high),
    }
