"""A run held against the shipped one of its configuration: every number of the main table.

Where all scores are equal, a number is the same. Else the difference is paired by item, as of
two methods, and chance is what its interval allows.
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

SAME, CHANCE, DIFFERS = "the same", "within chance", "more than chance"
MISSING = "not run"
WORDS = (SAME, CHANCE, DIFFERS, MISSING)


@dataclass(frozen=True)
class Held:
    """A number of the shipped table, in percent, and what the run has in its place."""

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
        return DIFFERS if self.difference.sign else CHANCE


def held(
    own: pandas.DataFrame, shipped: pandas.DataFrame, spec: TableSpec[Any]
) -> Iterator[Held]:
    """Every number of the shipped main table; frames as ``collect_scores`` makes them."""
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
            if other and other != values:
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
    """What a reader is told: all that is not the same, and how much is."""
    width = max(len(f"{one.column}, {one.row}") for one in found)
    for one in found:
        if one.word == SAME:
            continue
        said = f"{one.column + ', ' + one.row:{width}}  {one.word:{len(DIFFERS)}}"
        if d := one.difference:
            ends = f"{100 * d.value:+.1f} [{100 * d.low:+.1f}, {100 * d.high:+.1f}]"
            said += f"  {one.own:.1f}, shipped {one.shipped:.1f}: {ends}"
        yield said
    counts = Counter(one.word for one in found)
    told = ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word])
    yield f"Of {len(found)} numbers of {name}: {told}."
    if counts[DIFFERS]:
        yield "By chance alone about one in twenty of those that differ at all would."
    elif not counts[MISSING]:
        yield "Reproduced."


def _of(frame: pandas.DataFrame, key: tuple[Any, ...]) -> pandas.DataFrame:
    model, method, decoding = key
    same = (frame["model"] == model) & (frame["method"] == method)
    return frame[same & (frame["decoding"] == decoding)]


def _mean(values: Any) -> float | None:
    means = [sum(items.values()) / len(items) for items in values.values() if items]
    return sum(means) / len(means) if means else None


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value
