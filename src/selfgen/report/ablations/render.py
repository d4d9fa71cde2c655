"""All renderings of controlled runs, as files in memory: a pure function of what was
collected."""

from __future__ import annotations

from pathlib import Path

from selfgen.report import grid
from selfgen.report.ablations import figures, tables
from selfgen.report.ablations.captions import CAPTIONS, page
from selfgen.report.ablations.numbers import bootstrap, numbers, with_errors
from selfgen.report.ablations.spec import AblationSpec
from selfgen.report.figures import render
from selfgen.specs import to_json

KINDS = ("pdf", "svg", "png")


def table_names(spec: AblationSpec) -> list[str]:
    """The files of ``render_all`` that are no figures."""
    regimes = [f"ablations-{regime.name}" for regime in spec.regimes]
    return [
        *(f"{name}.{kind}" for name in regimes for kind in ("md", "tex")),
        *("ablations.csv", "seeds.csv", "lengths.csv", "figures.md", "spec.json"),
        *("corrections.md", "corrections.tex", "costs.md", "costs.tex"),
    ]


def figure_names(spec: AblationSpec) -> list[str]:
    """The figures of ``render_all``, each in all kinds."""
    variants = [f"variants-{regime.name}" for regime in spec.regimes]
    return [
        f"{name}.{kind}"
        for name in (*CAPTIONS, *variants)
        if name != "variants"
        for kind in KINDS
    ]


def render_all(collected: Path, spec: AblationSpec) -> dict[str, bytes]:
    """File name -> content, from ``scores.parquet``, ``positions.csv``, ``curves.csv`` and
    ``runs.csv`` in the folder ``collected``."""
    import pandas as pd

    scores = with_errors(pd.read_parquet(collected / "scores.parquet"))
    positions, curves, runs = (
        pd.read_csv(collected / f"{name}.csv")
        for name in ("positions", "curves", "runs")
    )
    how = bootstrap(spec)
    found = [numbers(scores, runs, regime, how) for regime in spec.regimes]
    by_length = tables.lengths(scores, found, how)
    two_turns = list(tables.corrected(scores, found, how))
    texts = {
        "ablations.csv": tables.methods_csv(found),
        "seeds.csv": tables.by_seed(scores, found),
        "lengths.csv": grid.to_csv(tables.LENGTHS, by_length),
        "figures.md": page(spec),
        "spec.json": to_json(spec) + "\n",
    }
    grids = {f"ablations-{n.spec.name}": tables.methods(n, spec) for n in found}
    grids["corrections"] = tables.corrections(two_turns, spec)
    grids["costs"] = tables.costs(found, spec)
    for name, made in grids.items():
        texts[f"{name}.md"] = grid.to_markdown(made)
        texts[f"{name}.tex"] = grid.to_latex(made)
    files = {name: text.encode() for name, text in texts.items()}
    lengths = pd.DataFrame(by_length, columns=list(tables.LENGTHS))
    drawn = {
        "beta": figures.beta(found, False),
        "corruption": figures.beta(found, True),
        "lengths": figures.lengths(lengths, found),
        "positions": figures.positions(positions, found),
        "curves": figures.curves(curves, found),
        "corrections": figures.corrections(two_turns),
        "gain": figures.gain(found),
        **{f"variants-{n.spec.name}": figures.variants(n) for n in found},
    }
    for name, figure in drawn.items():
        for kind in KINDS:
            files[f"{name}.{kind}"] = render(figure, kind)
    return files
