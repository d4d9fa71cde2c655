"""Tables of the synthetic experiments: every method, by length, corrections, costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from selfgen.core.names import draft_of
from selfgen.evaluation.statistics import Interval
from selfgen.report import grid
from selfgen.report.collect import label
from selfgen.report.grid import NOT_RUN, Box, Entry, Grid, bracketed, scope_notes
from selfgen.report.measure import Score, detectable, family_note
from selfgen.report.synthetic.numbers import (
    COMPARED,
    MEASURES,
    POOLED,
    Line,
    Numbers,
    difference,
    interval,
)
from selfgen.report.synthetic.spec import AblationSpec
from selfgen.report.tables.corrections import TwoTurns, table, turn_name, two_turns

if TYPE_CHECKING:
    import pandas

TITLES = {
    "exact": "Exact match",
    "free_error": "Free-running error",
    "forced_error": "Teacher-forced error",
    "excess": "Excess error",
    "similarity": "Edit similarity",
    "nll": "NLL, nats a token",
}
HIGHER_IS_BETTER = {"exact": True, "similarity": True}
COSTS = (
    *("steps", "labelled_tokens", "forwarded_tokens", "generated_tokens"),
    *("pass_seconds", "train_seconds"),
)


def methods(numbers: Numbers, spec: AblationSpec) -> Grid:
    """Every method of an experiment: errors in percent, marks against the baseline."""
    shown = ("exact", "free_error", "forced_error", "excess")
    rows: list[list[Box]] = [
        [
            label(numbers.spec.labels, line.method, line.decoding),
            *(_entry(line.cells[m], m, spec.confidence) for m in shown),
            _percent(line.recovery),
            _percent(line.cells["similarity"].mean),
            f"{line.cells['nll'].mean.value:.2f}",
            NOT_RUN if line.corruption is None else f"{100 * line.corruption:.1f}",
        ]
        for line in numbers.lines.values()
    ]
    header = [
        *("Method", *(TITLES[m] for m in shown)),
        *("Recovery", "Edit similarity", "NLL", "Context corrupted"),
    ]
    return Grid(
        name=f"ablations-{numbers.spec.name}",
        title=f"{numbers.spec.label}: percent of {numbers.items} answers, mean of"
        f" {numbers.seeds} seeds.",
        header=header,
        rows=rows,
        notes=_notes(numbers, spec),
    )


def _notes(numbers: Numbers, spec: AblationSpec) -> list[str]:
    percent = f"{100 * spec.confidence:g}%"
    experiment = numbers.spec
    baseline = experiment.labels[experiment.baseline]
    lines = numbers.lines.values()
    cells = [line.cells[m] for line in lines for m in COMPARED]
    shown = {line.method for line in lines}
    primary = [experiment.labels[m] for m in experiment.primary if m in shown]
    which = f"{TITLES[experiment.measure].lower()} of {'; '.join(primary)}"
    notes = [
        f"Brackets: {percent} interval over seeds and items (docs/statistics.md).",
        *scope_notes(x.mean for line in lines for x in line.cells.values()),
        "Errors: share of wrong tokens among the positions of all references; free-running"
        " reads its own tokens, teacher-forced the reference's. Excess: their difference."
        " Recovery: share of right tokens among those behind a wrong one. NLL: nats a"
        " token of the reference.",
        f"▲ (▼): better (worse) than {baseline}: the {percent} interval of the paired"
        " difference excludes 0; errors are better when lower."
        f" {family_note(cells, which)} No mark: no difference shown.",
        "Context corrupted: tokens of the answers in training, EOS included, that the pass"
        " changed. All methods take the same optimiser steps unless their name says"
        " otherwise.",
    ]
    least = ", ".join(
        f"{TITLES[m].lower()} {100 * value:.1f}"
        for m in COMPARED
        if (value := detectable(line.cells[m] for line in lines)) is not None
    )
    if least:
        notes.append(
            f"Smallest difference to {baseline} that is found with 80% power, in points,"
            f" median of the methods: {least}."
        )
    if numbers.failed:
        failed = ", ".join(map(str, numbers.failed))
        notes.append(
            f"Left out, since their base did not learn the task: seeds {failed}."
        )
    return notes


def _entry(cell: Score, measure: str, confidence: float, sign: str = "") -> Entry:
    better = 1 if HIGHER_IS_BETTER.get(measure, False) else -1
    return bracketed(cell.mean, sign=sign, mark=cell.mark(confidence, better))


def _percent(interval: Interval | None) -> str:
    return NOT_RUN if interval is None else f"{100 * interval.value:.1f}"


CSV = (
    *("experiment", "method", "decoding", "label", "measure", "n", "seeds"),
    *("mean", "low", "high", "difference", "difference_low", "difference_high"),
    *("p", "primary", "holm", "corruption"),
)


def methods_csv(experiments: Sequence[Numbers]) -> str:
    """One line an experiment, method, decoding and measure; shares of 1."""
    lines = []
    for numbers in experiments:
        for line in numbers.lines.values():
            for measure in MEASURES:
                cell = line.cells[measure]
                mean, d = cell.mean, cell.difference
                compared: list[Any] = [None] * 6
                if d:
                    compared = [*grid.numbers(d), d.p, int(cell.primary), cell.holm]
                lines.append(
                    [
                        *(numbers.spec.name, line.method, line.decoding),
                        *(
                            label(numbers.spec.labels, line.method, line.decoding),
                            measure,
                            mean.n,
                            mean.seeds,
                        ),
                        *(*grid.numbers(mean), *compared, line.corruption),
                    ]
                )
    return grid.to_csv(CSV, lines)


SEEDS = (
    *("experiment", "method", "decoding", "seed", *COMPARED),
    *(f"{measure}_difference" for measure in COMPARED),
)


def by_seed(scores: pandas.DataFrame, experiments: Sequence[Numbers]) -> str:
    """One line a method and seed: its means, and their differences to the baseline's."""
    lines = []
    for numbers in experiments:
        own = scores[scores["experiment"] == numbers.spec.name]
        keys = ["method", "decoding", "seed"]
        pooled = [measure for measure in COMPARED if measure in POOLED]
        weighted = own[pooled].mul(own["n"], axis=0).assign(n=own["n"])
        sums = own[keys].join(weighted).groupby(keys).sum()
        means = own.groupby(keys)[list(COMPARED)].mean()
        means[pooled] = sums[pooled].div(sums["n"], axis=0)
        for method, decoding in numbers.lines:
            for seed, row in means.loc[(method, decoding)].iterrows():
                base = means.loc[(numbers.spec.baseline, "direct", seed)]
                lines.append(
                    [numbers.spec.name, method, decoding, seed, *row, *(row - base)]
                )
    return grid.to_csv(SEEDS, lines)


LENGTHS = (
    *("experiment", "method", "items", "measure", "n", "seeds"),
    *("mean", "low", "high"),
)


def lengths(
    scores: pandas.DataFrame, experiments: Sequence[Numbers], confidence: float
) -> list[tuple[Any, ...]]:
    """Rows of ``LENGTHS``: the compared measures of direct answers by prompt length."""
    rows: list[tuple[Any, ...]] = []
    for numbers in experiments:
        name = numbers.spec.name
        own = scores[(scores["experiment"] == name) & (scores["decoding"] == "direct")]
        for (method, items), frame in own.groupby(["method", "items"], sort=False):
            for measure in COMPARED:
                names = (name, method, str(items), measure)
                mean = interval(frame, measure, confidence, names)
                rows.append(
                    (
                        *(name, method, int(items), measure, mean.n, mean.seeds),
                        *grid.numbers(mean),
                    )
                )
    return rows


def corrected(
    scores: pandas.DataFrame, experiments: Sequence[Numbers], confidence: float
) -> Iterator[tuple[Numbers, Line, TwoTurns]]:
    """The two turns of each method that corrects."""
    for numbers in experiments:
        own = scores[scores["experiment"] == numbers.spec.name]
        for line in numbers.lines.values():
            if draft := draft_of(line.decoding):
                cells = own[own["method"] == line.method].groupby("decoding")
                if draft not in cells.groups:
                    continue
                before, after = map(cells.get_group, (draft, line.decoding))
                names = (numbers.spec.name, turn_name(line.method, line.decoding))
                yield (
                    numbers,
                    line,
                    two_turns(before, after, "exact", confidence, names),
                )


def corrections(
    experiments: Sequence[tuple[Numbers, Line, TwoTurns]], spec: AblationSpec
) -> Grid:
    """What a further turn does to answers."""
    rows = [
        ((n.spec.label, turn_name(n.spec.labels[line.method], line.decoding)), made)
        for n, line, made in experiments
    ]
    return table(rows, ("Experiment", "Method"), f"{100 * spec.confidence:g}%")


def controls(
    scores: pandas.DataFrame, experiments: Sequence[Numbers], spec: AblationSpec
) -> Grid:
    """BASH against the random-token control (is it the model's own tokens?), and against
    plain SFT of the same time, or length and rounds; and what is BASH but for one knob,
    against it."""
    cells: dict[tuple[tuple[str, ...], str], Score] = {}
    words: dict[tuple[str, ...], list[str]] = {}
    for numbers in experiments:
        experiment = numbers.spec
        own = scores[
            (scores["experiment"] == experiment.name) & (scores["decoding"] == "direct")
        ]
        for pair in experiment.pairs:
            a, b = (own[own["method"] == method] for method in pair)
            if a.empty or b.empty:
                continue
            names = (experiment.name, *pair)
            words[names] = [experiment.label, *(experiment.labels[m] for m in pair)]
            for measure in COMPARED:
                found = difference(a, b, measure, spec.confidence, (*names, measure))
                cells[names, measure] = Score(found, found)
    rows: list[list[Box]] = [
        [
            *labels,
            *(_entry(cells[names, m], m, spec.confidence, "+") for m in COMPARED),
        ]
        for names, labels in words.items()
    ]
    percent = f"{100 * spec.confidence:g}%"
    return Grid(
        name="controls",
        title="Direct comparisons: own tokens against random ones at exactly the same"
        " positions, BASH against plain SFT of the same time, or length and rounds, and"
        " what is BASH but for one knob against BASH, in points.",
        header=[
            *("Experiment", "Method", "Minus"),
            *(TITLES[m] for m in COMPARED),
        ],
        rows=rows,
        notes=(
            f"Brackets: {percent} interval of the paired difference over seeds and items."
            " ▲ (▼): the method is better (worse), the interval excludes 0."
            f" {family_note(cells.values(), '')} No mark: no difference shown.",
            *scope_notes(cell.mean for cell in cells.values()),
        ),
        left=3,
    )


def costs(experiments: Sequence[Numbers], spec: AblationSpec) -> Grid:
    """What each method cost, and what it gained."""
    rows: list[list[Box]] = []
    breaks = []
    for numbers in experiments:
        breaks.append(len(rows))
        for line in numbers.lines.values():
            if line.decoding == "direct":
                rows.append(
                    [
                        numbers.spec.label,
                        numbers.spec.labels[line.method],
                        *(_cost(line.costs[name]) for name in COSTS),
                        *(
                            bracketed(line.cells[name].difference, sign="+")
                            for name in ("exact", "free_error")
                        ),
                    ]
                )
    titles = (
        *("Steps", "Labelled tokens", "Forwarded tokens", "Generated tokens"),
        *("Pass (s)", "Training (s)", "Exact match, points", "Free error, points"),
    )
    return Grid(
        name="costs",
        title="Cost of each method's own stage, one thread, mean of the seeds; gain over"
        " the baseline of the experiment.",
        header=("Experiment", "Method", *titles),
        rows=rows,
        notes=(
            "Seconds depend on the machine; the rest does not.",
            *scope_notes(
                line.cells["exact"].difference
                for numbers in experiments
                for line in numbers.lines.values()
            ),
        ),
        left=2,
        rules=frozenset(breaks[1:]),
    )


def _cost(value: float) -> str:
    if not value:
        return NOT_RUN
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
