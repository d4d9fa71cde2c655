"""All renderings of a run, as files in memory: a pure function of the collected tables."""

from __future__ import annotations

from pathlib import Path

from selfgen.core.spec import to_json
from selfgen.evaluation.text import SHAPE
from selfgen.report import corrections, cost, details, figures, grid, tables
from selfgen.report.measure import main_table
from selfgen.report.spec import TablesSpec


def render_all(collected: Path, spec: TablesSpec) -> dict[str, bytes]:
    """File name -> content, from ``scores.parquet``, ``runs.csv``, ``timings.csv`` and
    ``curves.csv`` in the folder ``collected``. ``spec.json`` is what it was drawn with, so
    that a shipped run can be drawn again."""
    import pandas as pd

    scores = pd.read_parquet(collected / "scores.parquet")
    # A measure that is younger than a shipped run is missing there.
    scores = scores.reindex(columns=[*dict.fromkeys([*scores.columns, *SHAPE])])
    runs = pd.read_csv(collected / "runs.csv", keep_default_na=False)
    timings = pd.read_csv(collected / "timings.csv")
    curves = pd.read_csv(collected / "curves.csv")
    main = main_table(scores, runs, spec)
    detail = details.details(scores)
    texts = {
        "main.md": tables.to_markdown(main),
        "main.tex": tables.to_latex(main),
        "main.csv": tables.to_csv(main),
        "details.md": details.to_markdown(detail, spec),
        "details.tex": details.to_latex(detail, spec),
        "details.csv": details.to_csv(detail, spec),
        "cost.md": cost.to_markdown(timings, spec),
        "cost.csv": cost.to_csv(cost.cost(timings)),
        "spec.json": to_json(spec) + "\n",
    }
    if rows := list(corrections.corrected(scores, spec)):
        many = len(rows[0][0]) > 2
        titles = ["Column", *(["Model"] if many else []), "Method"]
        made = corrections.table(rows, titles, spec.confidence)
        texts["corrections.md"] = grid.to_markdown(made)
        texts["corrections.tex"] = grid.to_latex(made)
    files = {name: text.encode() for name, text in texts.items()}
    drawn = {
        "main": figures.main_figure(main),
        "curves": figures.curves_figure(curves, spec),
    }
    for name, figure in drawn.items():
        for kind in ("pdf", "svg", "png"):
            files[f"{name}.{kind}"] = figures.render(figure, kind)
    return files
