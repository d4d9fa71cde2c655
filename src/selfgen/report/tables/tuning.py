"""What was chosen on validation: learning rates, and the baseline of each task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from selfgen.core.choices import Choice
from selfgen.core.ties import equal
from selfgen.report.collect import several
from selfgen.report.grid import NOT_RUN, Box, Entry, Grid
from selfgen.report.registry import REFERENCES, Drawn, Table, choice_list
from selfgen.report.spec import Reference, TableSpec
from selfgen.report.tables.details import title

CSV = (
    *("what", "task", "model", "method", "candidate", "metric", "mean", "n", "seeds"),
    *("chosen", "remark"),
)
EDGE, EQUAL = "edge", "equal"


def draw(
    rates: Sequence[Choice], references: Sequence[Choice], spec: TableSpec[Any]
) -> Drawn:
    """Every score on validation by which a learning rate or a baseline was chosen, and the
    choice. Test prompts decide none of it.

    ``rates``: of each cell; ``references``: of each entry of ``spec.baseline``. As CSV one
    line a candidate; ``mean`` is a share of 1.
    """
    grids: list[Grid] = []
    lines: list[list[Any]] = []
    if rates:
        grids.append(_rates(rates, spec))
        for cell, choice in zip(spec.cells, rates, strict=True):
            key = ["rate", cell.task, cell.model, cell.method]
            lines += _lines(key, choice, remark(choice))
    if references:
        grids.append(_baselines(references, spec))
        for one, choice in zip(_places(spec), references, strict=True):
            key = ["baseline", one.task, one.model, ""]
            lines += _lines(key, choice, remark(choice, ordered=False))
    return Drawn(grids, CSV, lines)


def remark(choice: Choice, ordered: bool = True) -> str:
    """What is to be said of a choice: ``EQUAL`` where all candidates have the same score, so
    that it says nothing; ``EDGE`` where it is the first or last of candidates that are
    ``ordered``, as rates are, so that a better one may lie beyond; or nothing."""
    means = [point.mean for point in choice.candidates]
    if equal(min(means), max(means)):
        return EQUAL
    ends = (choice.candidates[0].name, choice.candidates[-1].name)
    return EDGE if ordered and choice.chosen in ends else ""


def _places(spec: TableSpec[Any]) -> tuple[Reference, ...]:
    return () if isinstance(spec.baseline, str) else spec.baseline


def _lines(key: list[str], choice: Choice, said: str) -> Iterator[list[Any]]:
    for point in choice.candidates:
        is_it = point.name == choice.chosen
        yield [
            *(*key, point.name, choice.metric, point.mean, point.n, point.seeds),
            *(int(is_it), said if is_it else ""),
        ]


def _rates(rates: Sequence[Choice], spec: TableSpec[Any]) -> Grid:
    many = several(cell.model for cell in spec.cells)
    names = sorted(
        {point.name for choice in rates for point in choice.candidates}, key=float
    )
    edges = []
    rows: list[list[Box]] = []
    for cell, choice in zip(spec.cells, rates, strict=True):
        label = spec.labels[cell.method]
        if remark(choice) == EDGE:
            model = f" ({cell.model})" if many else ""
            edges.append(f"{label} on {cell.task}{model}, {choice.chosen}")
        rows.append(
            [
                *(cell.task, *[cell.model] * many, label, title(choice.metric)),
                *_scores(names, choice),
                str(choice.candidates[0].n),
                _chosen(choice.chosen, remark(choice)),
            ]
        )
    notes = [
        "Score of one training a rate, under the first seed, on validation prompts; bold: the"
        " chosen rate, which all seeds are trained at. Of equal ones the lowest is taken.",
        *_equal_note(remark(choice) for choice in rates),
    ]
    if any(len(choice.candidates) < len(names) for choice in rates):
        notes.append(f"{NOT_RUN}: not in the grid of that method.")
    if edges:
        notes.append(
            f"{EDGE.capitalize()}: the best rate is the lowest or highest of its grid, and a"
            f" better one may lie beyond it; widen the grid: {'; '.join(edges)}."
        )
    return Grid(
        name=f"{spec.name}-rates",
        title=f"Learning rates, chosen on validation; scores in percent (scale:"
        f" {spec.scale}).",
        header=[
            *("Task", *["Model"] * many, "Method", "Metric"),
            *(*names, "Prompts", "Chosen"),
        ],
        rows=rows,
        notes=notes,
        left=3 + many,
    )


def _baselines(references: Sequence[Choice], spec: TableSpec[Any]) -> Grid:
    places = _places(spec)
    many = several(one.model for one in places)
    names = list(spec.baselines)
    rows: list[list[Box]] = [
        [
            *(one.task, *[one.model] * many, title(choice.metric)),
            *_scores(names, choice),
            str(choice.candidates[0].n),
            _chosen(spec.labels[choice.chosen], remark(choice, ordered=False)),
        ]
        for one, choice in zip(places, references, strict=True)
    ]
    return Grid(
        name=f"{spec.name}-{REFERENCES}",
        title=f"The reference of claims, chosen on validation; scores in percent (scale:"
        f" {spec.scale}).",
        header=[
            *("Task", *["Model"] * many, "Metric"),
            *(*(spec.labels[name] for name in names), "Prompts", "Chosen"),
        ],
        rows=rows,
        notes=[
            "Mean score over all seeds on validation prompts; bold: the chosen one, which the"
            " other methods of its task are compared with. Of equal ones the first is taken.",
            *_equal_note(remark(choice, ordered=False) for choice in references),
        ],
        left=2 + many,
    )


def _scores(names: Sequence[str], choice: Choice) -> Iterator[Box]:
    means = {point.name: point.mean for point in choice.candidates}
    for name in names:
        if name not in means:
            yield NOT_RUN
        else:
            yield Entry(f"{100 * means[name]:.1f}", bold=name == choice.chosen)


def _chosen(name: str, said: str) -> str:
    return f"{name} ({said})" if said else name


def _equal_note(said: Iterable[str]) -> list[str]:
    if EQUAL not in said:
        return []
    return [f"{EQUAL.capitalize()}: all score alike, so that the choice says nothing."]


TABLE = Table(draw, {"rates": choice_list, REFERENCES: choice_list})
