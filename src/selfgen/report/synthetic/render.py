"""All renderings of synthetic experiments, as files in memory: a pure function of what was
collected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.spec import to_json
from selfgen.evaluation.correction import Turns
from selfgen.evaluation.statistics import Interval
from selfgen.report import grid
from selfgen.report.figures import KINDS, render
from selfgen.report.synthetic import figures, tables
from selfgen.report.synthetic.captions import page
from selfgen.report.synthetic.numbers import (
    Line,
    Numbers,
    bootstrap,
    numbers,
    with_errors,
)
from selfgen.report.synthetic.spec import AblationSpec

if TYPE_CHECKING:
    import pandas

    from selfgen.runtime.job import Job


@dataclass(frozen=True)
class Measured:
    """Everything that is shown: the numbers of each experiment, direct answers by length
    (rows of ``tables.LENGTHS``), two turns, and the frames that figures read as they are."""

    scores: pandas.DataFrame
    found: list[Numbers]
    lengths: list[tuple[Any, ...]]
    two_turns: list[tuple[Numbers, Line, Turns, Interval]]
    positions: pandas.DataFrame
    curves: pandas.DataFrame


def measure(collected: Path, spec: AblationSpec) -> Measured:
    """From ``scores.parquet``, ``positions.csv``, ``curves.csv`` and ``runs.csv`` in the
    folder ``collected``."""
    import pandas as pd

    scores = with_errors(pd.read_parquet(collected / "scores.parquet"))
    positions, curves, runs = (
        pd.read_csv(collected / f"{name}.csv")
        for name in ("positions", "curves", "runs")
    )
    how = bootstrap(spec)
    found = [numbers(scores, runs, experiment, how) for experiment in spec.experiments]
    return Measured(
        scores,
        found,
        tables.lengths(scores, found, how),
        list(tables.corrected(scores, found, how)),
        positions,
        curves,
    )


def render_all(collected: Path, spec: AblationSpec) -> dict[str, bytes]:
    """File name -> content of all tables and figures."""
    measured = measure(collected, spec)
    return render_tables(measured, spec) | render_figures(measured, spec)


Drawn = dict[str, Callable[[Measured], Any]]


def _grids(spec: AblationSpec) -> Drawn:
    """What draws each table for people, by name."""
    return {
        **{
            f"ablations-{experiment.name}": lambda m, i=i: tables.methods(
                m.found[i], spec
            )
            for i, experiment in enumerate(spec.experiments)
        },
        "corrections": lambda m: tables.corrections(m.two_turns, spec),
        "controls": lambda m: tables.controls(m.scores, m.found, spec),
        "costs": lambda m: tables.costs(m.found, spec),
    }


def _texts(spec: AblationSpec) -> Drawn:
    """What writes each other file that is no figure, by its name."""
    return {
        "ablations.csv": lambda m: tables.methods_csv(m.found),
        "seeds.csv": lambda m: tables.by_seed(m.scores, m.found),
        "lengths.csv": lambda m: grid.to_csv(tables.LENGTHS, m.lengths),
        "figures.md": lambda m: page(spec),
        "spec.json": lambda m: to_json(spec) + "\n",
    }


def _figures(spec: AblationSpec) -> Drawn:
    """What draws each figure, by name."""
    return {
        "beta": lambda m: figures.beta(m.found, False),
        "corruption": lambda m: figures.beta(m.found, True),
        **{
            f"variants-{experiment.name}": lambda m, i=i: figures.variants(m.found[i])
            for i, experiment in enumerate(spec.experiments)
        },
        "lengths": lambda m: figures.lengths(m.lengths, m.found),
        "positions": lambda m: figures.positions(m.positions, m.found),
        "curves": lambda m: figures.curves(m.curves, m.found, spec.confidence),
        "corrections": lambda m: figures.corrections(m.two_turns),
        "gain": lambda m: figures.gain(m.found),
    }


def table_names(spec: AblationSpec) -> list[str]:
    """The files of ``render_tables``."""
    pages = (f"{name}.{kind}" for name in _grids(spec) for kind in ("md", "tex"))
    return [*pages, *_texts(spec)]


def figure_names(spec: AblationSpec) -> list[str]:
    """The files of ``render_figures``."""
    return [f"{name}.{kind}" for name in _figures(spec) for kind in KINDS]


def render_tables(measured: Measured, spec: AblationSpec) -> dict[str, bytes]:
    """All tables by file name."""
    texts = {name: write(measured) for name, write in _texts(spec).items()}
    for name, draw in _grids(spec).items():
        made = draw(measured)
        texts |= {f"{name}.md": grid.to_markdown(made)}
        texts |= {f"{name}.tex": grid.to_latex(made)}
    return {name: text.encode() for name, text in texts.items()}


def render_figures(measured: Measured, spec: AblationSpec) -> dict[str, bytes]:
    """All figures by file name, each in all kinds."""
    drawn = {name: draw(measured) for name, draw in _figures(spec).items()}
    return {
        f"{name}.{kind}": render(figure, kind)
        for name, figure in drawn.items()
        for kind in KINDS
    }


def step(spec: AblationSpec, job: Job) -> dict[str, Any]:
    """Every table and figure of what was collected."""
    job.write(render_all(job.input("scores").parent, spec))
    return {}
