"""The run in docs/reference/: drawn again from its scores, and what the README shows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from tests import gates, goals, seeds, shipped

from selfgen.core import choices, manifests, ties
from selfgen.core.errors import UserError
from selfgen.core.spec import from_json
from selfgen.evaluation.statistics import paired_difference
from selfgen.graph import paths, tuning
from selfgen.graph.steps import Graph
from selfgen.graph.workflow import MODEL_GB
from selfgen.report import ship, took
from selfgen.report.collect import cell_values
from selfgen.report.spec import TableSpec
from selfgen.training.tuned_spec import TunedSpec

ROOT, REFERENCE = shipped.ROOT, shipped.REFERENCE
RUN = REFERENCE / "laptop"


@pytest.fixture(scope="module", params=shipped.RUNS)
def run(request: pytest.FixtureRequest) -> Path:
    return REFERENCE / request.param


@pytest.fixture(scope="module")
def graph(run: Path) -> Graph:
    return shipped.graph(run.name)


def test_every_shipped_table_is_drawn_again_byte_for_byte(run: Path) -> None:
    """With the spec that is shipped beside it, which is that of today's configuration."""
    found = {path.name: path.read_bytes() for path in (run / "tables").iterdir()}
    assert shipped.drawn(run.name) == found


def test_every_figure_is_shipped(run: Path) -> None:
    found = {path.name for path in (run / "figures").iterdir()}
    assert set(shipped.figures(run.name)) == found


def test_the_shipped_run_is_of_its_configuration(run: Path, graph: Graph) -> None:
    """Every job that ran a model had the spec that the configuration gives it today. Under
    seeds that were run by themselves a method has the rate that the first one chose."""
    expected = {}
    for cell in graph.cells():
        checkpoint = (cell.task, cell.model, cell.method)
        answers = graph.answers(cell.task, cell.method, cell.decoding, cell.seed)
        expected[graph.answers_file(*checkpoint, cell.decoding, cell.seed)] = answers
    for task, model, name, seed in graph.trained():
        weights = graph.weights(task, model, name, seed)
        expected[weights] = tuning.train(graph, task, name, seed)
        if passed := graph.pass_file(task, model, name, seed):
            made = graph.passed(task, name)
            expected[passed] = graph.generation(task, made.generator, made.name, seed)
    manifests = json.loads((run / "collected" / "manifests.json").read_text())
    specs = {paths.manifest(path): spec for path, spec in expected.items()}
    for path, spec in specs.items():
        if isinstance(spec, TunedSpec) and "train" not in manifests[path]["spec"]:
            _, _, task, model, method, *_ = path.split("/")
            (rate,) = (run / "tuning" / task / model / method).glob("rate.json")
            chosen = float(choices.read(rate).chosen)
            change = {"learning_rate": chosen}
            keys = spec.train.optimization.model_copy(update=change)
            specs[path] = replace(spec.train, optimization=keys)
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
    above = set()
    for column in spec.columns:
        rows = scores[
            (scores["task"] == column.task) & (scores["split"] == column.split)
        ]
        sft, base = (
            cell_values(rows[rows["method"] == method], column.metric)
            for method in ("sft", "base")
        )
        if (
            paired_difference(
                sft, base, spec.confidence, ("sft", "base", column.title)
            ).sign
            > 0
        ):
            above.add(column.task)
    assert len(above) >= 2, above


def test_no_prompt_and_no_answer_is_shipped() -> None:
    assert not list(REFERENCE.rglob("samples*"))
    for path in REFERENCE.rglob("judgments/**/*.parquet"):
        assert "reply" not in pd.read_parquet(path).columns


def test_the_shipped_wins_are_those_of_the_shipped_scores(run: Path) -> None:
    """A difference below the tolerance is a tie."""
    paths = sorted((run / "judgments").rglob("*.parquet"))
    assert paths or run.name in ("evidence", "declared", "ablations")
    for path in paths:
        rows = pd.read_parquet(path)
        scores = zip(rows["score"], rows["opponent_score"], strict=True)
        assert [ties.won(*both) for both in scores] == rows["won"].tolist(), path


def test_readme_shows_the_shipped_run() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in shipped.PAGES[ROOT / "README.md"]:
        found = ship.shown(REFERENCE / name, ROOT / "README.md")
        assert ship.show(readme, found) == readme
    assert ship.show(readme, {"scales": shipped.scales()}) == readme


def test_findings_show_the_shipped_runs() -> None:
    page = ROOT / "docs" / "findings.md"
    text = page.read_text(encoding="utf-8")
    for name in shipped.PAGES[page]:
        assert ship.show(text, ship.shown(REFERENCE / name, page)) == text
    shown = {"seeds/declared": seeds.declared(), "seeds/controls": seeds.controls()}
    assert ship.show(text, shown) == text


@pytest.mark.parametrize("run", shipped.RUNS)
def test_no_job_took_more_memory_than_is_asked_for(run: str) -> None:
    timings = pd.read_csv(REFERENCE / run / "collected" / "timings.csv")
    assert 0 < timings["peak_memory_mb"].max() < 1000 * MODEL_GB


def test_the_page_of_data_shows_the_gates() -> None:
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert ship.show(text, {"gates": gates.table()}) == text


def test_the_page_of_benchmarks_says_what_was_reached() -> None:
    text = (REFERENCE / "bench" / "README.md").read_text(encoding="utf-8")
    assert ship.show(text, {"goals": goals.table()}) == text


@pytest.mark.slow
def test_the_page_of_measures_is_drawn_again() -> None:
    page = shipped.MEASURE_PAGE.read_text(encoding="utf-8")
    found = shipped.measured()
    assert list(found) == ["group", "sort"]
    said = {"measures/floor": shipped.floor()}
    for task, one in found.items():
        for name, content in shipped.measures(one, task).items():
            assert (shipped.MEASURES / name).read_bytes() == content, name
        said[f"measures/{task}"] = shipped.said(one, task)
    assert ship.show(page, said) == page


def test_the_floor_is_not_0() -> None:
    """As docs/measure.md says of SFT against SFT of another seed."""
    (found,) = shipped.measured(shipped.MEASURES / "floor", "floor").values()
    assert found.first == "SFT"
    for name in ("r_free", "gap_free"):
        assert (number := found.number(name)) and number.value.low > 0


def test_ship_copies_a_run_without_its_samples(tmp_path: Path) -> None:
    run = tmp_path / "results"
    for name, place in (
        ("tables/main.md", "tables/manifests/main.json"),
        ("tables/samples.md", "tables/manifests/samples.json"),
        ("figures/a.svg", "tables/manifests/ablations.json"),
        ("collected/b", "collected/manifest.json"),
    ):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(name)
        manifests.write(run / place, "tabulate", "{}", {}, "", [run / name], {})
    judgments = run / "judgments" / "x" / "seed0.parquet"
    judgments.parent.mkdir(parents=True)
    pd.DataFrame({"id": ["a"], "won": [1.0], "reply": ["quoted"]}).to_parquet(judgments)
    place = judgments.with_suffix(".json")
    manifests.write(place, "judge_answers", "{}", {}, "", [judgments], {})
    rate = run / "tuning" / "a" / "m" / "bash" / "rate.json"
    rate.parent.mkdir(parents=True)
    rate.write_text("chosen")
    place = rate.with_name("manifest.json")
    manifests.write(place, "choose_rate", "{}", {}, "", [rate], {})
    steps = run / "steps" / "a" / "m" / "bash" / "seed0.parquet"
    steps.parent.mkdir(parents=True)
    steps.write_text("wrong")
    place = steps.with_suffix(".json")
    manifests.write(place, "measure_steps", "{}", {}, "", [steps], {})
    ship.ship(run, tmp_path / "out", tmp_path / "downloads")
    assert (tmp_path / "out" / took.FILE).is_file()
    for folder, name in (("tuning", "rate.json"), ("steps", "seed0.parquet")):
        copied = (p for p in (tmp_path / "out" / folder).rglob("*") if p.is_file())
        assert [path.name for path in copied] == [name]
    kept = pd.read_parquet(tmp_path / "out" / "judgments" / "x" / "seed0.parquet")
    assert list(kept.columns) == ["id", "won"]
    found = {
        p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("out/*/*")
    }
    assert found == {
        *("tables/main.md", "figures/a.svg", "collected/b", "judgments/x", "tuning/a"),
        "steps/a",
    }
    with pytest.raises(UserError, match="no folder tables"):
        ship.ship(tmp_path, tmp_path / "other", tmp_path)
    for name in ("tables/main.md", "figures/a.svg", "collected/b"):
        (run / name).write_text("BASH 100.0")
        with pytest.raises(UserError, match=f"{name}: not as it was made"):
            ship.ship(run, tmp_path / "other", tmp_path)
        (run / name).write_text(name)
    rate.write_text("another")
    with pytest.raises(UserError, match="changed since choose_rate made it"):
        ship.ship(run, tmp_path / "other", tmp_path)
    rate.write_text("chosen")
    judgments.write_bytes(b"")
    with pytest.raises(UserError, match="changed since judge_answers made it"):
        ship.ship(run, tmp_path / "other", tmp_path)


def test_show_replaces_what_stands_between_the_marks() -> None:
    page = "a <!-- x --> old <!-- /x --> b"
    once = ship.show(page, {"x": "new\n"})
    assert once == "a <!-- x -->\n\nnew\n\n<!-- /x --> b"
    assert ship.show(once, {"x": "new\n"}) == once
    with pytest.raises(UserError, match="found <!-- x -->, allowed: y"):
        ship.show(page, {"y": "new"})
    with pytest.raises(UserError, match="found <!-- x --> without <!-- /x -->"):
        ship.show("<!-- x -->", {"x": "new"})


def test_a_page_shows_several_runs() -> None:
    page = "<!-- one/x -->\n\nold\n\n<!-- /one/x --> <!-- two/x --> <!-- /two/x -->"
    found = ship.show(page, {"one/x": "new", "one/y": "more"})
    assert found == page.replace("old", "new")
    with pytest.raises(UserError, match="no mark of three/x"):
        ship.show(page, {"three/x": "new"})
