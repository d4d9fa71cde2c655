"""Learning rates and baselines that are chosen on validation: which files the graph has for
it, and one real run."""

from __future__ import annotations

import copy
import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from snakemake.utils import update_config

from selfgen.config import load
from selfgen.config import synthetic as synthetic_config
from selfgen.core import choices, manifests
from selfgen.core.errors import UserError
from selfgen.graph import cost, paths, tables, tuning
from selfgen.graph.files import jobs
from selfgen.graph.steps import Graph
from selfgen.graph.workflow import Workflow
from tests.conftest import Once
from tests.flow import Flow

HERE = Path(__file__).parent
TUNED = HERE / "tuned.yaml"
CONFIGS = ("--configfile", "small.yaml", "tuned.yaml")
RUN = ("--cores", "2", *CONFIGS)
LOW, HIGH = 1e-7, 5e-4
BASELINES = ("sft", "sft-continued")


def raw(edit: Callable[[dict[str, Any]], object] = lambda c: None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in ("small.yaml", "tuned.yaml"):
        update_config(values, yaml.safe_load((HERE / name).read_text()))
    values["seeds"] = [3, 4]
    edit(values)
    return values


def graph(edit: Callable[[dict[str, Any]], object] = lambda c: None) -> Graph:
    return Graph(load(raw(edit)))


def second_task(values: dict[str, Any]) -> None:
    """A task whose second stage has one rate."""
    values["tasks"]["other"] = copy.deepcopy(values["tasks"]["descriptions"])
    values["tasks"]["other"]["stages"] = {"second": "fixed"}
    values["stages"]["fixed"] = {"batch_size": 4, "learning_rate": 1e-4}


# The graph


def test_every_rate_is_tried_under_the_first_seed_on_tasks_that_tune() -> None:
    g = graph(second_task)
    assert {(p.task, p.method, p.seed) for p in tuning.points(g)} == {
        ("descriptions", f"{method}.lr{rate}", 3)
        for method in ("sft-continued", "bash")
        for rate in ("1e-07", "0.0005")
    }
    # They are no results, and no other task has them.
    assert not [one for one in g.trained() if ".lr" in one[2]]
    assert len(g.trained()) == 2 * 2 * 3


def test_a_rate_is_tried_on_the_rows_and_the_parent_of_the_method() -> None:
    w = Workflow(graph(), "resources", ".")
    address = {"task": "descriptions", "model": "tiny", "seed": "3"}
    point = w.inputs("finetune", address | {"checkpoint": "bash.lr1e-07"})
    final = w.inputs("finetune", address | {"checkpoint": "bash"})
    assert point == {
        "rows": "results/rows/descriptions/tiny/bash/seed3.parquet",
        "weights": "results/models/descriptions/tiny/sft/seed3/weights",
    }
    choice = "results/tuning/descriptions/tiny/bash/rate.json"
    assert final == point | {"choice": choice}
    other = w.inputs("finetune", address | {"checkpoint": "bash", "seed": "4"})
    assert other["choice"] == choice, "one choice for all seeds"
    rows = {job.wildcards["checkpoint"] for job in jobs(w) if job.rule == "mix_rows"}
    assert rows == {"sft", "sft-continued", "bash"}


def test_choices_read_validation_alone() -> None:
    """All answers that any choice is made of, back to the splits of their specs."""
    g = graph(second_task)
    w = Workflow(g, "resources", ".")
    by_output = {path: job for job in jobs(w) for path in job.outputs}
    deciding = [job for job in by_output.values() if job.rule.startswith("choose_")]
    scores = {path for job in deciding for path in job.inputs}
    assert scores
    for path in scores:
        scored = by_output[path]
        assert json.loads(w.spec("score_answers", scored.wildcards))["splits"] == [
            "validation"
        ]
        (answers,) = (p for p in scored.inputs if p.startswith("results/answers/"))
        spec = json.loads(w.spec("generate_answers", by_output[answers].wildcards))
        assert spec["splits"] == ["validation"] and spec["decoding"] == "direct"
    # And no result is of them.
    collected = [path for files in tables.collected(g).values() for path in files]
    assert collected and not [path for path in collected if "validation" in path]


def test_what_was_tried_goes_again() -> None:
    w = Workflow(graph(), "resources", ".")
    names = w.names()
    assert set(names["temporary"]) == {
        f"{method}.lr{rate}"
        for method in ("sft-continued", "bash")
        for rate in ("1e-07", "0.0005")
    }
    assert set(names["kept"]) == {"base", "sft", "sft-continued", "bash"}
    gone = {path for job in jobs(w) for path in job.temporary}
    assert len(gone) == 4 and all(".lr" in path for path in gone)


def test_without_kept_weights_all_go() -> None:
    w = Workflow(graph(lambda c: c.update(keep_weights=False)), "resources", ".")
    names = w.names()
    assert names["kept"] == []
    assert set(names["declared"]) == {"base", "sft", "sft-continued", "bash"}
    gone = {path for job in jobs(w) for path in job.temporary}
    made = {
        path for job in jobs(w) for path in job.outputs if path.endswith("/weights")
    }
    assert gone == made and len(gone) == 4 + 2 * 3  # two seeds


def test_candidates_are_read_under_all_their_seeds() -> None:
    def edit(values: dict[str, Any]) -> None:
        values["evaluation"]["baseline"] = ["base", "sft-continued"]

    g = graph(edit)
    assert tuning.baseline_scores(g, "descriptions", "tiny")["scores"] == [
        f"results/scores/descriptions/tiny/{name}/validation/seed{seed}.parquet"
        for name, seed in (("base", 3), ("sft-continued", 3), ("sft-continued", 4))
    ]
    spec = tuning.baseline(g, "descriptions")
    assert [(one.name, one.seeds) for one in spec.candidates] == [
        ("base", 1),
        ("sft-continued", 2),
    ]
    assert tables.tables(g)["main"].spec.primary == ("sft", "bash")


def one_rate(values: dict[str, Any]) -> None:
    values["stages"]["second"]["learning_rate"] = [LOW]
    values["evaluation"]["baseline"] = ["sft-continued"]


def plain(values: dict[str, Any]) -> None:
    values["stages"]["second"]["learning_rate"] = LOW
    values["evaluation"]["baseline"] = "sft-continued"


def test_a_list_of_one_is_no_list() -> None:
    """Same jobs, specs and tables as without any choice."""

    def told(edit: Callable[[dict[str, Any]], object]) -> list[Any]:
        w = Workflow(graph(edit), "resources", ".")
        rules = [(job, w.spec(job.rule, job.wildcards)) for job in jobs(w)]
        return sorted(rules, key=str)

    assert told(one_rate) == told(plain)
    assert not [job for job, _ in told(plain) if job.rule.startswith("choose")]
    assert "tuning" not in tables.tables(graph(plain))


def test_the_order_of_a_grid_says_nothing() -> None:
    def turned(values: dict[str, Any]) -> None:
        values["stages"]["second"]["learning_rate"].reverse()

    rates = [tuning.rate(g, "descriptions", "bash") for g in (graph(turned), graph())]
    assert rates[0] == rates[1]
    assert [one.name for one in rates[0].candidates] == ["1e-07", "0.0005"]


def test_the_plan_counts_what_is_tried() -> None:
    def work(edit: Callable[[dict[str, Any]], object]) -> dict[str, int]:
        found: dict[str, int] = {}
        for one in cost.works(graph(edit)):
            found[one.step] = found.get(one.step, 0) + one.jobs
        return found

    before, after = work(plain), work(lambda c: None)
    assert after["fine-tuning"] - before["fine-tuning"] == 4
    assert after["free generation"] - before["free generation"] == 4 + 2 * 2
    assert after["forced passes"] == before["forced passes"]


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "rounds": (
        lambda c: c["methods"]["bash"].update(rounds=2),
        "stages.second.learning_rate: found a list with methods.bash of 2 rounds, whose"
        " rates are not tuned; allowed: one rate, or a stage of its own with one",
    ),
    "nothing to read": (
        lambda c: c["tasks"]["descriptions"].update(validation_rows=0),
        "tasks.descriptions.validation_rows: found 0, allowed: at least 1 where"
        " evaluation.baseline is a list",
    ),
    "nothing to tune by": (
        lambda c: (
            c["tasks"]["descriptions"].update(validation_rows=0),
            c["evaluation"].update(baseline="sft"),
        ),
        "tasks.descriptions.validation_rows: found 0, allowed: at least 1 where"
        " stages.second.learning_rate is a list",
    ),
    "twice": (
        lambda c: c["stages"]["second"].update(learning_rate=[1e-3, 1e-4, 1e-3]),
        "stages.second.learning_rate: found [0.001, 0.0001, 0.001], allowed are distinct"
        " ones",
    ),
    "none": (
        lambda c: c["stages"]["second"].update(learning_rate=[]),
        "stages.second.learning_rate: found [], allowed: ",
    ),
    "a rate that is none": (
        lambda c: c["stages"]["second"].update(learning_rate=[1e-3, 0]),
        "stages.second.learning_rate.1: found 0, allowed: greater than 0",
    ),
    "an unknown candidate": (
        lambda c: c["evaluation"].update(baseline=["sft", "stf"]),
        "evaluation.baseline: found 'stf', allowed: ",
    ),
    "a candidate twice": (
        lambda c: c["evaluation"].update(baseline=["sft", "sft"]),
        "evaluation.baseline: found ['sft', 'sft'], allowed are distinct ones",
    ),
    "a task without a candidate": (
        lambda c: c["tasks"]["descriptions"].update(methods=["base", "sft"]),
        "tasks.descriptions.methods: found none that is evaluation.baseline,"
        " 'sft-continued'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_chosen_is_refused_in_one_line(name: str) -> None:
    edit, said = REFUSED[name]
    with pytest.raises(UserError) as caught:
        load(raw(edit))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"config: {said}")


def test_synthetic_experiments_tune_nothing() -> None:
    values = yaml.safe_load((HERE / "synthetic.yaml").read_text())
    name, experiment = next(iter(values["experiments"].items()))
    stage = next(iter(experiment["stages"]))
    experiment["stages"][stage]["learning_rate"] = [1e-3, 1e-4]
    where = f"config: experiments.{name}.stages.{stage}.learning_rate: found a list"
    with pytest.raises(UserError, match=where):
        synthetic_config.load(values)


# A real run


@pytest.fixture(scope="session")
def tuned(once: Once, finished: Flow) -> Flow:
    """A clone whose small run is done, and the tuned one on top of it."""

    def make(root: Path) -> None:
        flow = finished.copy(root)
        shutil.copy2(TUNED, flow.root / "tuned.yaml")
        done = flow.snakemake(*RUN)
        assert done.returncode == 0, done.stdout

    return once("tuned", make)


@pytest.fixture
def flow(tuned: Flow, tmp_path: Path) -> Flow:
    return tuned.copy(tmp_path / "clone")


def manifest(flow: Flow, checkpoint: str) -> dict[str, Any]:
    address = {"task": "descriptions", "model": "tiny", "seed": 0}
    name = paths.fill(paths.TRAINED, checkpoint=checkpoint, **address)
    return manifests.read(flow.root / name)


def scores(flow: Flow, checkpoint: str) -> pd.DataFrame:
    name = f"scores/descriptions/tiny/{checkpoint}/validation/seed0.parquet"
    return pd.read_parquet(flow.root / "results" / name)


def choice(flow: Flow, method: str) -> choices.Choice:
    folder = flow.root / "results/tuning/descriptions/tiny"
    name = "baseline.json" if method == "baseline" else f"{method}/rate.json"
    return choices.read(folder / name)


@pytest.mark.slow
def test_a_method_is_trained_at_the_rate_that_its_scores_say(tuned: Flow) -> None:
    for method in ("sft-continued", "bash"):
        made = choice(tuned, method)
        means = {
            repr(rate): scores(tuned, f"{method}.lr{rate!r}")[made.metric].mean()
            for rate in (LOW, HIGH)
        }
        assert {p.name: p.mean for p in made.candidates} == pytest.approx(means)
        assert [(p.n, p.seeds) for p in made.candidates] == [(4, 1)] * 2
        best, other = sorted(means, key=lambda name: -means[name])
        assert made.chosen == best == repr(HIGH)
        told = manifest(tuned, method)
        assert told["rule"] == "finetune_tuned"
        assert told["learning_rate"] == float(best)
        # The same training once more, so the same weights, byte for byte.
        point = manifest(tuned, f"{method}.lr{best}")
        weights = told["outputs"]["weights"]
        assert weights == point["outputs"]["weights"]
        assert told["inputs"]["rows"] == point["inputs"]["rows"]
        worse = manifest(tuned, f"{method}.lr{other}")
        assert worse["outputs"]["weights"] != weights


@pytest.mark.slow
def test_no_test_prompt_is_read_for_a_choice(tuned: Flow) -> None:
    records = pd.read_parquet(tuned.root / "results/records/descriptions.parquet")
    validation = set(records.loc[records["split"] == "validation", "id"])
    found = sorted((tuned.root / "results/answers").rglob("validation/*.parquet"))
    assert len(found) == 4 + 2
    for path in found:
        assert set(pd.read_parquet(path)["id"]) == validation, path


@pytest.mark.slow
def test_tables_tell_what_was_chosen(tuned: Flow) -> None:
    folder = tuned.root / "results/tables"
    rows = list(csv.DictReader((folder / "tuning.csv").read_text().splitlines()))
    assert len(rows) == 2 * 2 + 2
    for method in ("sft-continued", "bash", "baseline"):
        own = [r for r in rows if method in (r["method"], r["what"])]
        chosen = [r for r in own if r["chosen"] == "1"]
        assert [r["candidate"] for r in chosen] == [choice(tuned, method).chosen]
        edge = "" if method == "baseline" else "edge"  # of two rates, each is
        assert chosen[0]["remark"] == edge
    text = (folder / "tuning.md").read_text()
    assert "Edge: the best rate is the lowest or highest of its grid" in text
    made = choice(tuned, "baseline")
    means = {name: scores(tuned, name)[made.metric].mean() for name in BASELINES}
    assert means["sft-continued"] > means["sft"]
    assert made.chosen == "sft-continued"
    main = (folder / "main.md").read_text()
    assert (
        "best on validation of SFT, SFT continued (table tuning): descriptions:"
        " SFT continued."
    ) in main
    lines = list(csv.DictReader((folder / "main.csv").read_text().splitlines()))
    compared = {line["method"] for line in lines if line["difference"]}
    assert compared == {"base", "sft", "sft-continued", "bash"} - {made.chosen}


@pytest.mark.slow
def test_weights_of_what_was_tried_are_gone(tuned: Flow) -> None:
    models = tuned.root / "results/models/descriptions/tiny"
    assert len([*models.glob("*.lr*/seed0/manifest.json")]) == 4
    kept = {path.parents[1].name for path in models.glob("*/seed0/weights")}
    assert kept == {"sft", "sft-continued", "bash"}
    assert tuned.rules(*CONFIGS) == {}


@pytest.mark.slow
def test_another_rate_reruns_what_it_must(flow: Flow) -> None:
    """It is tried for each method; what was tried stays. Who has a choice to read is trained
    anew."""
    flow.replace("tuned.yaml", "[1.0e-7, 5.0e-4]", "[1.0e-7, 5.0e-4, 1.0e-5]")
    plan = flow.rules(*CONFIGS)
    assert plan.pop("finetune_temporary") == 2
    assert plan.pop("choose_rate") == plan.pop("finetune") == 2
    # Two points, two methods, and the one of them that may be the baseline.
    assert plan.pop("generate_answers") == plan.pop("score_answers") == 2 + 2 + 1
    assert plan.pop("choose_baseline") == 1
    assert set(plan) == {"collect_results", "tabulate", "plot", "render_samples"}


@pytest.mark.slow
def test_a_list_of_candidates_trains_nothing(flow: Flow) -> None:
    flow.replace("tuned.yaml", "[sft, sft-continued]", "[base, sft, sft-continued]")
    plan = flow.rules(*CONFIGS)
    assert plan.pop("generate_answers") == plan.pop("score_answers") == 1
    assert plan.pop("choose_baseline") == 1
    assert set(plan) == {"tabulate", "plot", "render_samples"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("bash/rate.json", "results/models/descriptions/tiny/bash/seed0/weights"),
        ("baseline.json", "results/tables/main.csv"),
    ],
)
def test_a_choice_that_was_edited_is_refused(
    flow: Flow, name: str, target: str
) -> None:
    path = flow.root / "results/tuning/descriptions/tiny" / name
    made = choices.read(path)
    (other,) = (p.name for p in made.candidates if p.name != made.chosen)
    text = path.read_text()
    old = f'"chosen": "{made.chosen}"'
    assert old in text
    path.write_text(text.replace(old, f'"chosen": "{other}"'))
    done = flow.snakemake(*RUN, "--forcerun", target, "--", target)
    assert done.returncode != 0
    assert f"{name}: changed since choose_" in done.stdout
