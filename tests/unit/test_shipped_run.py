"""The run in docs/reference/: drawn again from its scores, and what the README shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from snakemake.utils import update_config

from selfgen import config
from selfgen.core import ties
from selfgen.core.errors import UserError
from selfgen.core.spec import from_json, to_json
from selfgen.evaluation.statistics import paired_difference
from selfgen.graph import paths, tables
from selfgen.graph.steps import Graph
from selfgen.report import plot, ship, tabulate
from selfgen.report.collect import cell_values
from selfgen.report.measure import bootstrap
from selfgen.report.spec import TableSpec

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
RUN = REFERENCE / "laptop"
RUNS = {
    "laptop": ["config.yaml"],
    "preference": ["config.yaml", "more/preference.yaml"],
}
"""Shipped runs, and the configuration files of each."""


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest) -> Path:
    return REFERENCE / request.param


@pytest.fixture(scope="module")
def graph(run: Path) -> Graph:
    merged: dict[str, Any] = {}
    for name in RUNS[run.name]:
        update_config(merged, yaml.safe_load((ROOT / "config" / name).read_text()))
    return Graph(config.load(merged), ROOT)


def inputs(run: Path, found: tables.Job) -> dict[str, list[Path]]:
    """The files of a table or figure in a shipped run."""
    return {
        name: [run / Path(path).relative_to("results") for path in paths]
        for name, paths in found.inputs.items()
    }


def test_every_shipped_table_is_drawn_again_byte_for_byte(run, graph) -> None:
    """With the spec that is shipped beside it, which is that of today's configuration."""
    shipped = {path.name: path.read_text() for path in (run / "tables").iterdir()}
    files = {}
    for name, found in tables.tables(graph).items():
        spec = from_json(TableSpec, shipped[f"{name}.json"])
        made = tabulate.texts(spec, inputs(run, found))
        assert made["json"] == to_json(found.spec) + "\n"
        files |= {f"{name}.{kind}": text for kind, text in made.items()}
    assert files == shipped


def test_every_figure_is_shipped(run, graph) -> None:
    shipped = {path.name for path in (run / "figures").iterdir()}
    files = {
        f"{name}.{kind}"
        for name, found in tables.figures(graph).items()
        for kind in plot.images(found.spec, inputs(run, found))
    }
    assert files == shipped


def test_the_shipped_run_is_of_its_configuration(run: Path, graph: Graph) -> None:
    """Every job that ran a model had the spec that the configuration gives it today."""
    expected = {}
    for cell in graph.cells():
        checkpoint = (cell.task, cell.model, cell.method)
        answers = graph.answers(cell.task, cell.method, cell.decoding, cell.seed)
        expected[graph.answers_file(*checkpoint, cell.decoding, cell.seed)] = answers
        if graph.config.methods[cell.method].mix != "none":
            weights = graph.weights(*checkpoint, cell.seed)
            expected[weights] = graph.train(cell.task, cell.method, cell.seed)
        if passed := graph.pass_file(*checkpoint, cell.seed):
            made = graph.passed(cell.task, cell.method)
            expected[passed] = graph.generation(
                cell.task, made.generator, made.name, cell.seed
            )
    manifests = json.loads((run / "collected" / "manifests.json").read_text())
    specs = {paths.manifest(path): spec for path, spec in expected.items()}
    # A key that came later has the value that the run had without it: its default.
    found = {
        path: from_json(type(specs[path]), json.dumps(m["spec"]))
        for path, m in manifests.items()
    }
    assert found == specs


def test_fine_tuning_is_above_the_base_model_on_at_least_two_tasks() -> None:
    """The comparison that makes the others worth reading: paired, its interval off 0."""
    scores = pd.read_parquet(RUN / "collected" / "scores.parquet")
    spec = from_json(TableSpec, (RUN / "tables" / "main.json").read_text())
    how = bootstrap(spec)
    above = set()
    for column in spec.columns:
        rows = scores[
            (scores["task"] == column.task) & (scores["split"] == column.split)
        ]
        sft, base = (
            cell_values(rows[rows["method"] == method], column.metric)
            for method in ("sft", "base")
        )
        if paired_difference(sft, base, how, ("sft", "base", column.title)).sign > 0:
            above.add(column.task)
    assert len(above) >= 2, above


def test_no_prompt_and_no_answer_is_shipped() -> None:
    assert not list(REFERENCE.rglob("samples*"))
    for path in REFERENCE.rglob("judgments/**/*.parquet"):
        assert "reply" not in pd.read_parquet(path).columns


def test_the_shipped_wins_are_those_of_the_shipped_scores(run: Path) -> None:
    """A difference below the tolerance is a tie."""
    paths = sorted((run / "judgments").rglob("*.parquet"))
    assert paths
    for path in paths:
        rows = pd.read_parquet(path)
        scores = zip(rows["score"], rows["opponent_score"], strict=True)
        assert [ties.won(*both) for both in scores] == rows["won"].tolist(), path


def test_readme_shows_the_shipped_run() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert ship.show(readme, ship.shown(RUN, ROOT / "README.md")) == readme


def test_ship_copies_a_run_without_its_samples(tmp_path: Path) -> None:
    run = tmp_path / "results"
    for name in ("tables/main.md", "tables/samples.md", "figures/a.svg", "collected/b"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(name)
    judgments = run / "judgments" / "x" / "seed0.parquet"
    judgments.parent.mkdir(parents=True)
    pd.DataFrame({"id": ["a"], "won": [1.0], "reply": ["quoted"]}).to_parquet(judgments)
    ship.ship(run, tmp_path / "out")
    kept = pd.read_parquet(tmp_path / "out" / "judgments" / "x" / "seed0.parquet")
    assert list(kept.columns) == ["id", "won"]
    found = {
        p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("out/*/*")
    }
    assert found == {"tables/main.md", "figures/a.svg", "collected/b", "judgments/x"}
    with pytest.raises(UserError, match="no folder tables"):
        ship.ship(tmp_path, tmp_path / "other")


def test_show_replaces_what_stands_between_the_marks() -> None:
    page = "a <!-- x --> old <!-- /x --> b"
    once = ship.show(page, {"x": "new\n"})
    assert once == "a <!-- x -->\n\nnew\n\n<!-- /x --> b"
    assert ship.show(once, {"x": "new\n"}) == once
    with pytest.raises(UserError, match="<!-- y -->"):
        ship.show(page, {"y": "new"})
