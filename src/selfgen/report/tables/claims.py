"""The comparisons that were declared before the run, as one family, each with a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from selfgen.evaluation import crossed
from selfgen.report.collect import label, several
from selfgen.report.dose import LITTLE
from selfgen.report.grid import NOT_RUN, Box, Grid, bracketed, numbers, scope_notes
from selfgen.report.measure import FLOOR, Numbers, Score, main_table, with_holm
from selfgen.report.registry import (
    Drawn,
    Rows,
    Table,
    by_method,
    frame,
    rows,
    score_frame,
)
from selfgen.report.spec import Column, TableSpec
from selfgen.report.tables.details import title
from selfgen.report.tables.steps import compared

if TYPE_CHECKING:
    import pandas

CSV = (
    *("task", "split", "model", "method", "decoding", "measure", "reference"),
    *("n", "seeds", "mean", "low", "high"),
    *("difference", "difference_low", "difference_high", "p", "holm", "detectable"),
    *("seeds_needed", "changed_share", "verdict"),
)

CEILING = 1 - FLOOR
"""A score where every method has more leaves no room for a difference."""

AIM = 0.025
"""A difference that a run should be able to find."""
MOST_SEEDS = 30
"""More are not looked for."""

EXCESS = "excess"


@dataclass(frozen=True)
class Claim:
    """One declared comparison. ``better``: the sign of a good difference; ``changed``: the
    share of context tokens that a method's pass changed, None where it mixes none; ``out``:
    ``floor`` or ``ceiling``, where all methods have such scores."""

    column: Column
    model: str
    method: str
    decoding: str
    measure: str
    score: Score | None
    better: int = 1
    changed: float | None = None
    out: str = ""

    def seeds_needed(self, confidence: float) -> str:
        """How many seeds would find a difference of ``AIM``; empty where nobody knows."""
        difference = self.score.difference if self.score else None
        if difference is None or difference.error is None or difference.seeds == 1:
            return ""
        found = crossed.seeds_needed(difference.error, AIM, confidence, MOST_SEEDS)
        return str(found) if found else f"over {MOST_SEEDS}"

    def verdict(self, confidence: float) -> str:
        """A word, by a rule: docs/statistics.md."""
        difference = self.score.difference if self.score else None
        if self.score is None or difference is None:
            return "not run"
        if self.changed is not None and self.changed < LITTLE:
            return "no dose"
        if self.out:
            return self.out
        word = {1: "better", -1: "worse", 0: ""}[self.better * difference.sign]
        if word and not difference.over_seeds:
            return f"{word}, items only"
        if word and self.score.holm is not None and self.score.holm < 1 - confidence:
            return word
        return "no difference shown"


def draw(
    scores: pandas.DataFrame,
    runs: pandas.DataFrame,
    errors: Sequence[Rows],
    spec: TableSpec[Any],
) -> Drawn:
    """The comparisons that were declared before the run, on score and on excess error, each
    with a verdict by rule; Holm's correction is over all of them."""
    claims = [*_scores(main_table(scores, runs, spec)), *_excess(runs, errors, spec)]
    corrected = with_holm(dict(enumerate(claim.score for claim in claims)))
    claims = [replace(claim, score=corrected[i]) for i, claim in enumerate(claims)]
    order = {column.task: place for place, column in enumerate(spec.columns)}
    claims.sort(key=lambda claim: order[claim.column.task])
    return Drawn([_grid(claims, spec)], CSV, [_line(claim, spec) for claim in claims])


def _scores(table: Numbers) -> Iterator[Claim]:
    spec = table.spec
    for i, column in enumerate(spec.columns):
        means = [line.scores[i] for line in table.rows]
        full = all(score.mean.value > CEILING for score in means if score)
        out = "floor" if table.floors[i] else "ceiling" if full else ""
        for line in table.rows:
            if column.primary and line.method in spec.primary:
                changed, _ = line.doses.get(column.task, (None, None))
                yield Claim(
                    *(column, line.model, line.method, line.decoding, column.metric),
                    line.scores[i],
                    changed=changed,
                    out=out,
                )


def _excess(
    runs: pandas.DataFrame, errors: Sequence[Rows], spec: TableSpec[Any]
) -> Iterator[Claim]:
    columns = {column.task: column for column in reversed(spec.columns)}
    found = compared(by_method(spec, errors), spec)
    for (key, name), score in found.items():
        task, model, method = key
        if name == EXCESS and score.primary and columns[task].primary:
            own = runs[(runs["model"] == model) & (runs["method"] == method)]
            share = own.loc[own["task"] == task, "changed_share"].mean()
            changed = None if share != share else float(share)  # NaN: no such pass
            yield Claim(
                *(columns[task], model, method, "direct", EXCESS),
                score,
                better=-1,
                changed=changed,
            )


def _grid(claims: Sequence[Claim], spec: TableSpec[Any]) -> Grid:
    many = several(claim.model for claim in claims)
    shown: list[list[Box]] = []
    for claim in claims:
        difference = claim.score.difference if claim.score else None
        holm = claim.score.holm if claim.score else None
        detectable = difference.detectable if difference else 0
        shown.append(
            [
                *(claim.column.title, *[claim.model] * many),
                label(spec.labels, claim.method, claim.decoding),
                "Excess error" if claim.measure == EXCESS else title(claim.measure),
                bracketed(claim.score.mean if claim.score else None),
                bracketed(difference, sign="+"),
                NOT_RUN if holm is None else f"{holm:.3f}",
                f"{100 * detectable:.1f}" if detectable else NOT_RUN,
                claim.seeds_needed(spec.confidence) or NOT_RUN,
                NOT_RUN if claim.changed is None else f"{100 * claim.changed:.1f}",
                claim.verdict(spec.confidence),
            ]
        )
    differences = [claim.score.difference for claim in claims if claim.score]
    return Grid(
        name=spec.name,
        title="Declared comparisons with"
        f" {spec.baseline_label}, in percent (scale: {spec.scale}).",
        header=[
            *("Task", *["Model"] * many, "Method", "Measure", "Mean", "Difference"),
            *("p, corrected", "Found with 80% power", f"Seeds to find {100 * AIM:g}"),
            *("Context changed", "Verdict"),
        ],
        rows=shown,
        notes=(
            f"Brackets: {spec.percent} interval over seeds and items.",
            *scope_notes(differences),
            "Excess error: the share of steps that are wrong after own steps minus that"
            " after the reference's; less is better.",
            f"p: corrected by Holm for all {sum(c.score is not None for c in claims)}"
            " comparisons of this table; not with fewer than three seeds.",
            f"Seeds to find {100 * AIM:g}: the fewest with which a true difference of"
            f" {100 * AIM:g} points is found with 80% power, as far as these seeds can say.",
            "Verdict: better or worse where the corrected p is below"
            f" {1 - spec.confidence:.2g}, or, of fewer seeds, where the interval excludes 0"
            " (items only); no dose: the pass changed less than"
            f" {100 * LITTLE:g}% of the context; floor, ceiling: all methods are below"
            f" {100 * FLOOR:g}% or above {100 * CEILING:g}%.",
            *spec.baseline_notes,
        ),
        left=3 + many,
    )


def _line(claim: Claim, spec: TableSpec[Any]) -> list[Any]:
    score, column = claim.score, claim.column
    difference = score.difference if score else None
    return [
        *(column.task, column.split, claim.model, claim.method, claim.decoding),
        *(claim.measure, spec.baseline_of(column.task, claim.model)),
        *((score.mean.n, score.mean.seeds) if score else (0, 0)),
        *numbers(score.mean if score else None),
        *numbers(difference),
        *(
            (difference.p, score.holm if score else None, difference.detectable)
            if difference
            else [None] * 3
        ),
        *(claim.seeds_needed(spec.confidence), claim.changed),
        claim.verdict(spec.confidence),
    ]


TABLE = Table(draw, {"scores": score_frame, "runs": frame, "errors": rows})
