"""Errors of steps that a checker judges: after own steps, the reference's, the excess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfgen.evaluation.statistics import (
    Difference,
    Interval,
    Values,
    mean_interval,
    paired_difference,
)
from selfgen.report.collect import several
from selfgen.report.grid import NOT_RUN, Box, Grid, bracketed, numbers, scope_notes
from selfgen.report.measure import Score, family_note, with_holm
from selfgen.report.registry import Drawn, Rows, Table, by_method, rows
from selfgen.report.spec import TableSpec

MEASURES = ("free", "forced", "excess")

CSV = (
    *("task", "model", "method", "n", "seeds", "steps", "unwritten"),
    *(
        f"{name}{end}"
        for name in MEASURES
        for side in ("", "_difference")
        for end in (side, f"{side}_low", f"{side}_high")
    ),
    *("excess_p", "primary", "excess_holm"),
)

Key = tuple[str, ...]
"""Task, model and method."""


@dataclass(frozen=True)
class Line:
    """One method: its error rates and what they differ from the baseline's, as shares of 1;
    ``steps``: of a reference; ``unwritten``: the share of them that answers do not have;
    ``wrong``: how often each kind of error was made, of own steps and of forced ones."""

    steps: float
    unwritten: float
    means: Mapping[str, Interval]
    scores: Mapping[str, Score]
    wrong: Mapping[str, tuple[float, float]]


def draw(errors: Sequence[Rows], spec: TableSpec[Any]) -> Drawn:
    """Errors of the steps of answers, by a checker: after the model's own steps before them,
    after the reference's, and the excess of the first, which is exposure bias.

    From the rows ``{id, due, free, forced}`` of each cell; seeds of a method are read
    together."""
    found = by_method(spec, errors)
    scores = with_holm(compared(found, spec))
    lines = {
        key: Line(
            due := _mean(row["due"] for part in by_seed.values() for row in part),
            _mean(
                row["due"] - len(row["free"][: row["due"]])
                for part in by_seed.values()
                for row in part
            )
            / due,
            {name: scores[key, name].mean for name in MEASURES},
            {name: scores[key, name] for name in MEASURES},
            _wrong(by_seed),
        )
        for key, by_seed in found.items()
    }
    return Drawn(
        [_rates(lines, spec), _kinds(lines, spec)],
        CSV,
        [_csv(key, line) for key, line in lines.items()],
    )


def compared(
    found: Mapping[Key, Mapping[int, Rows]], spec: TableSpec[Any]
) -> dict[tuple[Key, str], Score]:
    """The measures of each method, and their differences to the baseline's; ``found``: rows
    by seed."""
    values = {key: by_measure(by_seed) for key, by_seed in found.items()}
    return {
        (key, name): _score(key, name, values, spec)
        for key in found
        for name in MEASURES
    }


def rates(row: Mapping[str, Any]) -> dict[str, float]:
    """Of one answer: the share of its steps that are wrong, of those that the reference's
    number of steps lets count, the same of the forced ones, and the difference."""
    own = row["free"][: row["due"]]
    free, forced = (sum(map(bool, x)) / len(x) for x in (own, row["forced"]))
    return {"free": free, "forced": forced, "excess": free - forced}


def by_measure(by_seed: Mapping[int, Rows]) -> dict[str, Values]:
    """The rates of each answer, by ``MEASURES``, seed and item."""
    read = {
        seed: {row["id"]: rates(row) for row in part} for seed, part in by_seed.items()
    }
    return {
        name: {
            seed: {item: rate[name] for item, rate in part.items()}
            for seed, part in read.items()
        }
        for name in MEASURES
    }


def _score(
    key: Key,
    name: str,
    values: Mapping[Key, Mapping[str, Values]],
    spec: TableSpec[Any],
) -> Score:
    base = (*key[:2], spec.baseline_of(key[0], key[1]))
    names = (*key, name)
    own = values[key][name]
    share = name != "excess"
    difference = None
    if key != base and base in values:
        other = values[base][name]
        difference = paired_difference(own, other, spec.confidence, names)
    return Score(
        mean_interval(own, spec.confidence, names, share=share),
        difference,
        # The excess is what is asked; the two rates say where it comes from.
        primary=name == "excess" and key[2] in spec.primary,
    )


def _wrong(by_seed: Mapping[int, Rows]) -> dict[str, tuple[float, float]]:
    """By kind of error: its share of all own steps, and of all forced ones."""
    counts = []
    for side in ("free", "forced"):
        steps = [
            wrong
            for part in by_seed.values()
            for row in part
            for wrong in row[side][: row["due"]]
        ]
        counts.append((Counter(filter(None, steps)), len(steps)))
    (free, own), (forced, due) = counts
    return {
        kind: (free[kind] / own, forced[kind] / due) for kind in sorted(free | forced)
    }


def _rates(lines: Mapping[Key, Line], spec: TableSpec[Any]) -> Grid:
    baseline = spec.baseline_label
    shown: list[list[Box]] = []
    for key, line in lines.items():
        boxes: list[Box] = [bracketed(line.means[name]) for name in MEASURES[:2]]
        boxes.append(bracketed(line.means["excess"], sign="+"))
        for name in MEASURES:
            score = line.scores[name]
            mark = score.mark(spec.confidence, better=-1)
            boxes.append(bracketed(score.difference, sign="+", mark=mark))
        sizes = [f"{line.steps:.1f}", f"{100 * line.unwritten:.1f}"]
        shown.append([*_words(key, lines, spec), *sizes, *boxes])
    scores = [score for line in lines.values() for score in line.scores.values()]
    primary = [
        spec.labels[key[2]] + " on " + key[0]
        for key, line in lines.items()
        if line.scores["excess"].holm is not None
    ]
    return Grid(
        name=spec.name,
        title=f"Steps that are wrong, in percent (scale: {spec.scale}).",
        header=[
            *_titles(lines),
            *("Steps", "Unwritten", "After own", "After reference", "Excess"),
            *(f"{name}, minus {baseline}" for name in ("Own", "Reference", "Excess")),
        ],
        rows=shown,
        notes=(
            f"Brackets: {spec.percent} interval over seeds and items.",
            *scope_notes(line.means["excess"] for line in lines.values()),
            "After own: the steps of the model's answer, each judged after what it wrote"
            " before, as far as the reference has steps; an end that comes too soon is a"
            " wrong step, and the steps that it leaves unwritten are not judged."
            " After reference: what it writes"
            " after the reference's steps. Excess: the first minus the second, which is"
            " exposure bias.",
            f"▲ (▼): fewer (more) errors than {baseline}, or less (more) excess: the"
            f" {spec.percent} interval excludes 0. "
            + family_note(scores, f"the excess of {'; '.join(primary)}"),
            *spec.baseline_notes,
            f"{NOT_RUN}: nothing to compare.",
        ),
        left=len(_titles(lines)),
    )


def _kinds(lines: Mapping[Key, Line], spec: TableSpec[Any]) -> Grid:
    kinds = sorted({kind for line in lines.values() for kind in line.wrong})
    return Grid(
        name=f"{spec.name}-kinds",
        title="What is wrong with them: percent of own steps / of steps after the"
        " reference's.",
        header=[*_titles(lines), *kinds],
        rows=[
            [
                *_words(key, lines, spec),
                *(
                    f"{100 * own:.1f} / {100 * forced:.1f}"
                    for own, forced in (line.wrong.get(kind, (0, 0)) for kind in kinds)
                ),
            ]
            for key, line in lines.items()
        ],
        left=len(_titles(lines)),
    )


def _titles(lines: Iterable[Key]) -> list[str]:
    return ["Task", *["Model"] * several(key[1] for key in lines), "Method"]


def _words(key: Key, lines: Iterable[Key], spec: TableSpec[Any]) -> list[Box]:
    task, model, method = key
    many = several(one[1] for one in lines)
    return [task, *[model] * many, spec.labels[method]]


def _csv(key: Key, line: Line) -> list[Any]:
    excess = line.scores["excess"]
    pairs: list[Interval | Difference | None] = []
    for name in MEASURES:
        pairs += [line.means[name], line.scores[name].difference]
    tested: list[Any] = [None] * 3
    if excess.difference:
        tested = [excess.difference.p, int(excess.primary), excess.holm]
    return [
        *(*key, excess.mean.n, excess.mean.seeds, line.steps, line.unwritten),
        *(x for pair in pairs for x in numbers(pair)),
        *tested,
    ]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


TABLE = Table(draw, {"errors": rows})
