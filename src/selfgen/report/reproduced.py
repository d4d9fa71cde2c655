"""A run held against the shipped one of its configuration: every cell of the main table.

Where all scores are equal, a cell is the same. Else the difference is paired by item, as of
two methods: a cell is reproduced where its interval holds 0. Of fewer than three seeds on
either side that interval covers other items, and says nothing of other trainings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.rows import read_frame
from selfgen.core.spec import from_json
from selfgen.evaluation.statistics import Difference, paired_difference
from selfgen.report.collect import cell_values, in_order, label, of_column
from selfgen.report.spec import TableSpec

if TYPE_CHECKING:
    import pandas

SAME, REPRODUCED, MISSING = "the same", "reproduced", "not run"
ITEMS = "differs by more than other items would explain"
CHANCE = "differs by more than chance"

MEANINGS = {
    CHANCE: "other seeds and items do not explain that",
    ITEMS: "on another kind of CPU the weights are another training (docs/reliability.md)",
    MISSING: "of those nothing is known",
    REPRODUCED: "no cell shows a difference",
    SAME: "this run is the shipped one",
}
"""What it means that a run has such cells: of those that it has, the first is said."""


@dataclass(frozen=True)
class Held:
    """A cell of the shipped table, in percent, and what the run has in its place."""

    column: str
    row: str
    shipped: float
    own: float | None
    difference: Difference | None

    @property
    def word(self) -> str:
        if self.own is None:
            return MISSING
        if self.difference is None:
            return SAME
        if self.difference.low <= 0 <= self.difference.high:
            return REPRODUCED
        return CHANCE if self.difference.over_seeds else ITEMS


def held(
    own: pandas.DataFrame, shipped: pandas.DataFrame, spec: TableSpec[Any]
) -> Iterator[Held]:
    """Every cell of the shipped main table; frames as ``collect_scores`` makes them."""
    for column in spec.columns:
        theirs, ours = of_column(shipped, column), of_column(own, column)
        for key in in_order(theirs, ["model", "method", "decoding"]):
            values, other = (
                cell_values(_of(frame, key), column.metric)
                if column.metric in frame
                else {}
                for frame in (theirs, ours)
            )
            if not values:
                continue
            row = label(spec.labels, key[1], key[2])
            mean, found = (_mean(side) for side in (values, other))
            difference = None
            if other and [*other.values()] != [*values.values()]:
                names = (column.title, row)
                difference = paired_difference(other, values, spec.confidence, names)
            yield Held(
                column.title, row, 100 * (mean or 0.0), _percent(found), difference
            )


def read(results: Path, reference: Path) -> list[Held]:
    """As ``held``, of two folders of results.

    Raises UserError: a folder that has no collected scores.
    """
    frames = []
    for folder in (results, reference):
        path = folder / "collected" / "scores.parquet"
        if not path.is_file():
            raise UserError(f"{folder}: found no {path.relative_to(folder)}")
        frames.append(read_frame(path))
    text = (reference / "tables" / "main.json").read_text(encoding="utf-8")
    own, shipped = frames
    return list(held(own, shipped, from_json(TableSpec, text)))


def lines(found: Sequence[Held], name: str) -> Iterator[str]:
    """What a reader is told: each cell that is not the same, then how many are reproduced
    and what that means, in one sentence."""
    said = [(f"{one.column}, {one.row}", _numbers(one), one.word) for one in found]
    wide, wider = (max(len(line[i]) for line in said) for i in (0, 1))
    for cell, numbers, word in said:
        if word != SAME:
            yield f"{cell:{wide}}  {numbers:{wider}}  {word}"
    yield _closing(Counter(one.word for one in found), name)


def _numbers(one: Held) -> str:
    if not (d := one.difference):
        return ""
    ends = f"{100 * d.value:+.1f} [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"
    return f"{one.own:.1f}, shipped {one.shipped:.1f}: {ends}"


def _closing(counts: Counter[str], name: str) -> str:
    reproduced = counts[SAME] + counts[REPRODUCED]
    told = f"Reproduced: {reproduced} of {counts.total()} cells of {name}"
    if counts[SAME]:
        told += f", {counts[SAME]} of them the same in every item"
    for word in (CHANCE, ITEMS):
        if n := counts[word]:
            told += f"; {n} {word if n == 1 else word.replace('differs', 'differ')}"
    if counts[MISSING]:
        told += f"; {counts[MISSING]} not run"
    meaning = next(text for word, text in MEANINGS.items() if counts[word])
    return f"{told}; {meaning}."


def _of(frame: pandas.DataFrame, key: tuple[Any, ...]) -> pandas.DataFrame:
    model, method, decoding = key
    same = (frame["model"] == model) & (frame["method"] == method)
    return frame[same & (frame["decoding"] == decoding)]


def _mean(values: Any) -> float | None:
    means = [sum(items.values()) / len(items) for items in values.values() if items]
    return sum(means) / len(means) if means else None


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value
