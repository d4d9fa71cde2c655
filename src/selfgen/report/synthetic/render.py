"""All renderings of controlled runs, as files in memory: a pure function of what was
collected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.spec import to_json
from selfgen.evaluation.correction import Turns
from selfgen.evaluation.statistics import Interval
from selfgen.report import grid
from selfgen.report.figures import render
from selfgen.report.synthetic import figures, tables
from selfgen.report.synthetic.captions import FIGURES, page
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

KINDS = ("pdf", "svg", "png")


def table_names(spec: AblationSpec) -> list[str]:
    """The files of ``render_all`` that are no figures."""
    regimes = [f"ablations-{regime.name}" for regime in spec.regimes]
    return [
        *(f"{name}.{kind}" for name in regimes for kind in ("md", "tex")),
        *("ablations.csv", "seeds.csv", "lengths.csv", "figures.md", "spec.json"),
        *(
            f"{name}.{kind}"
            for name in ("controls", "corrections", "costs")
            for kind in ("md", "tex")
        ),
    ]


def figure_names(spec: AblationSpec) -> list[str]:
    """The figures of ``render_all``, each in all kinds."""
    variants = [f"variants-{regime.name}" for regime in spec.regimes]
    return [
        f"{name}.{kind}"
        for name in (*FIGURES, *variants)
        if name != "variants"
        for kind in KINDS
    ]


@dataclass(frozen=True)
class Measured:
    """Everything that is shown: the numbers of each regime, direct answers by length (rows
    of ``tables.LENGTHS``), two turns, and the frames that figures read as they are."""

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
    found = [numbers(scores, runs, regime, how) for regime in spec.regimes]
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


def render_tables(measured: Measured, spec: AblationSpec) -> dict[str, bytes]:
    """The files of ``table_names``."""
    found = measured.found
    texts = {
        "ablations.csv": tables.methods_csv(found),
        "seeds.csv": tables.by_seed(measured.scores, found),
        "lengths.csv": grid.to_csv(tables.LENGTHS, measured.lengths),
        "figures.md": page(spec),
        "spec.json": to_json(spec) + "\n",
    }
    grids = {f"ablations-{n.spec.name}": tables.methods(n, spec) for n in found}
    grids["corrections"] = tables.corrections(measured.two_turns, spec)
    grids["controls"] = tables.controls(measured.scores, found, spec)
    grids["costs"] = tables.costs(found, spec)
    for name, made in grids.items():
        texts[f"{name}.md"] = grid.to_markdown(made)
        texts[f"{name}.tex"] = grid.to_latex(made)
    return {name: text.encode() for name, text in texts.items()}


def render_figures(measured: Measured, spec: AblationSpec) -> dict[str, bytes]:
    """The files of ``figure_names``."""
    import pandas as pd

    found = measured.found
    lengths = pd.DataFrame(measured.lengths, columns=list(tables.LENGTHS))
    drawn = {
        "beta": figures.beta(found, False),
        "corruption": figures.beta(found, True),
        "lengths": figures.lengths(lengths, found),
        "positions": figures.positions(measured.positions, found),
        "curves": figures.curves(measured.curves, found, spec.confidence),
        "corrections": figures.corrections(measured.two_turns),
        "gain": figures.gain(found),
        **{f"variants-{n.spec.name}": figures.variants(n) for n in found},
    }
    return {
        f"{name}.{kind}": render(figure, kind)
        for name, figure in drawn.items()
        for kind in KINDS
    }


def step(spec: AblationSpec, job: Job) -> dict[str, Any]:
    """Every table and figure of what was collected."""
    job.write(render_all(job.paths("collected")[0].parent, spec))
    return {}
