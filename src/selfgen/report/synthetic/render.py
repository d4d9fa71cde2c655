"""All renderings of synthetic experiments, as files in memory: a pure function of what was
collected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.rows import read_frame
from selfgen.core.spec import to_json
from selfgen.report import grid
from selfgen.report.latex import to_latex
from selfgen.report.style import KINDS, render
from selfgen.report.synthetic import figures, frontier, tables
from selfgen.report.synthetic.captions import files, page
from selfgen.report.synthetic.numbers import Line, Numbers, numbers, with_errors
from selfgen.report.synthetic.spec import AblationSpec
from selfgen.report.tables.corrections import TwoTurns

if TYPE_CHECKING:
    import pandas

    from selfgen.runtime.job import Job


@dataclass(frozen=True)
class Measured:
    """Everything that is shown: the numbers of each experiment, direct answers by length
    (rows of ``tables.LENGTHS``), errors along training (rows of ``frontier.CSV``), two
    turns, and the frames that figures read as they are."""

    scores: pandas.DataFrame
    found: list[Numbers]
    lengths: list[tuple[Any, ...]]
    frontier: list[tuple[Any, ...]]
    two_turns: list[tuple[Numbers, Line, TwoTurns]]
    positions: pandas.DataFrame
    curves: pandas.DataFrame


def measure(collected: Path, spec: AblationSpec) -> Measured:
    """From ``scores.parquet``, ``positions.csv``, ``curves.csv`` and ``runs.csv`` in the
    folder ``collected``."""
    import pandas as pd

    scores = with_errors(read_frame(collected / "scores.parquet"))
    positions, curves, runs = (
        pd.read_csv(collected / f"{name}.csv")
        for name in ("positions", "curves", "runs")
    )
    experiments = [
        numbers(scores, runs, experiment, spec.confidence)
        for experiment in spec.experiments
    ]
    return Measured(
        scores,
        experiments,
        tables.lengths(scores, experiments, spec.confidence),
        frontier.lines(curves, experiments, spec.confidence),
        list(tables.corrected(scores, experiments, spec.confidence)),
        positions,
        curves,
    )


def table_names(spec: AblationSpec) -> list[str]:
    """The files of ``render_tables``."""
    grids = [f"ablations-{experiment.name}" for experiment in spec.experiments]
    grids += ["frontier", "corrections", "controls", "costs"]
    pages = [f"{name}.{kind}" for name in grids for kind in ("md", "tex")]
    lists = [f"{name}.csv" for name in ("ablations", "seeds", "lengths", "frontier")]
    return [*pages, *lists, "figures.md", "spec.json"]


def figure_names(spec: AblationSpec) -> list[str]:
    """The files of ``render_figures``."""
    return [
        f"{file}.{kind}"
        for names in files(spec).values()
        for file in names
        for kind in KINDS
    ]


def render_tables(measured: Measured, spec: AblationSpec) -> dict[str, bytes]:
    """All tables by file name."""
    m = measured
    texts = {
        "ablations.csv": tables.methods_csv(m.found),
        "seeds.csv": tables.by_seed(m.scores, m.found),
        "lengths.csv": grid.to_csv(tables.LENGTHS, m.lengths),
        "frontier.csv": grid.to_csv(frontier.CSV, m.frontier),
        "figures.md": page(spec),
        "spec.json": to_json(spec) + "\n",
    }
    for made in (
        *(tables.methods(n, spec) for n in m.found),
        frontier.table(m.frontier, m.found, spec),
        tables.corrections(m.two_turns, spec),
        tables.controls(m.scores, m.found, spec),
        tables.costs(m.found, spec),
    ):
        texts[f"{made.name}.md"] = grid.to_markdown(made)
        texts[f"{made.name}.tex"] = to_latex(made)
    return {name: text.encode() for name, text in texts.items()}


def render_figures(measured: Measured, spec: AblationSpec) -> dict[str, bytes]:
    """All figures by file name, each in all kinds."""
    m = measured
    seen = figures.look_of(spec.experiments)
    drawn = {
        "beta": figures.beta(m.found, seen),
        "corruption": figures.beta(m.found, seen, by_corruption=True),
        **{f"variants-{n.spec.name}": figures.variants(n, seen) for n in m.found},
        "lengths": figures.lengths(m.lengths, m.found, seen),
        "positions": figures.positions(m.positions, m.found, seen),
        "curves": figures.curves(m.curves, m.found, spec.confidence, seen),
        "frontier": frontier.figure(m.curves, m.found, seen),
        "corrections": figures.corrections(m.two_turns),
        **{f"gain-{n.spec.name}": figures.gain(n, seen) for n in m.found},
    }
    return {
        f"{name}.{kind}": render(figure, kind)
        for name, figure in drawn.items()
        for kind in KINDS
    }


def step(spec: AblationSpec, job: Job) -> dict[str, Any]:
    """Every table and figure of what was collected."""
    measured = measure(job.input("scores").parent, spec)
    job.write(render_tables(measured, spec) | render_figures(measured, spec))
    return {}
