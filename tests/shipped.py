"""The runs in docs/reference/: every table and figure drawn again from what is shipped.

``python -m tests.shipped`` writes them, and the pages that show them; tests hold the tables
against what is there, byte for byte.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from selfgen import config
from selfgen.config import synthetic as synthetic_config
from selfgen.graph import synthetic, tables
from selfgen.graph.steps import Graph
from selfgen.report import plot, ship, tabulate
from selfgen.report.synthetic.render import measure, render_figures, render_tables

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
SYNTHETIC = REFERENCE / "synthetic"
RUNS = {
    "laptop": ["config.yaml"],
    "preference": ["config.yaml", "more/preference.yaml"],
}
"""Runs of the workflow, and the configuration files of each."""
PAGES = {
    ROOT / "README.md": ["laptop"],
    ROOT / "docs" / "synthetic.md": ["synthetic"],
}
"""Pages, and the runs that each shows."""


def graph(run: str) -> Graph:
    """The graph of a run's configuration."""
    merged: dict[str, Any] = {}
    for name in RUNS[run]:
        update_config(merged, yaml.safe_load((ROOT / "config" / name).read_text()))
    return Graph(config.load(merged), ROOT)


def inputs(run: Path, found: tables.Job) -> dict[str, list[Path]]:
    """The files of a table or figure in a shipped run."""
    return {
        name: [run / Path(path).relative_to("results") for path in paths]
        for name, paths in found.inputs.items()
    }


def drawn(run: str) -> dict[str, bytes]:
    """The tables of a run by file name."""
    if run == SYNTHETIC.name:
        spec = _synthetic()
        return render_tables(measure(SYNTHETIC / "collected", spec), spec)
    return {
        f"{name}.{kind}": text.encode()
        for name, found in tables.tables(graph(run)).items()
        for kind, text in tabulate.texts(
            found.spec, inputs(REFERENCE / run, found)
        ).items()
    }


def figures(run: str) -> dict[str, bytes]:
    """The figures of a run by file name."""
    if run == SYNTHETIC.name:
        spec = _synthetic()
        return render_figures(measure(SYNTHETIC / "collected", spec), spec)
    return {
        f"{name}.{kind}": image
        for name, found in tables.figures(graph(run)).items()
        for kind, image in plot.images(
            found.spec, inputs(REFERENCE / run, found)
        ).items()
    }


def _synthetic() -> Any:
    raw = yaml.safe_load((ROOT / "config" / "synthetic.yaml").read_text())
    return synthetic.tables(synthetic_config.load(raw))


if __name__ == "__main__":
    for name in (*RUNS, SYNTHETIC.name):
        for folder, files in (("tables", drawn(name)), ("figures", figures(name))):
            for file, content in files.items():
                (REFERENCE / name / folder / file).write_bytes(content)
    for page, names in PAGES.items():
        for name in names:
            text = page.read_text(encoding="utf-8")
            shown = ship.shown(REFERENCE / name, page)
            page.write_text(ship.show(text, shown), encoding="utf-8")
