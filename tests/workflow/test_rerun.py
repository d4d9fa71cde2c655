"""What reruns, and what does not: a public contract.

One real run of a small configuration in a clone; every case edits a copy of it, at another
place, and reads the plan of a dry run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable

import pytest

from tests.flow import Flow

SMALL = ("--configfile", "small.yaml")
AFTER_TRAINING = {
    "generate_answers",
    "score_answers",
    "collect_results",
    "tabulate",
    "plot",
    "render_samples",
}


def nothing(flow: Flow) -> None:
    """The clone that is asked is a copy: it already stands at another place."""


def touch(flow: Flow) -> None:
    for part in ("src", "workflow", "config"):
        for path in (flow.root / part).rglob("*.*"):
            os.utime(path)


def comment(flow: Flow) -> None:
    flow.replace("src/selfgen/mixing/order.py", "WINDOW = 8", "# why\nWINDOW = 8  # so")


def docstring(flow: Flow) -> None:
    flow.replace("src/selfgen/training/causal.py", '"""Fine-tuning of', '"""Tuning of')


def unrelated(flow: Flow) -> None:
    flow.replace("src/selfgen/cli/main.py", '"resume":', '"again":')


def lost_metadata(flow: Flow) -> None:
    shutil.rmtree(flow.root / ".snakemake")


def lost_times(flow: Flow) -> None:
    """As ``git`` or ``scp`` may bring results, base models after what is made of them; a
    person says that they are good."""
    now = time.time()
    for path in (flow.root / "results").rglob("*"):
        came = now - 60 * ("base" not in path.relative_to(flow.root).parts[:2])
        os.utime(path, (came, came))
    assert flow.rules(*SMALL)
    assert flow.snakemake("--touch", "--cores", "1", *SMALL).returncode == 0


def another_package(flow: Flow) -> None:
    found = flow.root / "src" / "numpy-99.0.dist-info"
    found.mkdir()
    (found / "METADATA").write_text("Name: numpy\nVersion: 99.0\n")


@pytest.mark.parametrize(
    "change",
    [
        nothing,
        touch,
        comment,
        docstring,
        unrelated,
        lost_metadata,
        pytest.param(lost_times, marks=pytest.mark.slow),
        another_package,
    ],
)
def test_what_changes_no_result_reruns_nothing(
    flow: Flow, change: Callable[[Flow], None]
) -> None:
    change(flow)
    assert flow.rules(*SMALL) == {}


KNOBS = (
    *("generate_answers:shards=3", "generate_pass:shards=2"),
    *("generate_answers:batch_size=3", "generate_pass:batch_size=2"),
    *("generate_answers:gpu=2", "generate_pass:gpu=2"),
    *("finetune:micro_batch_tokens=64", "finetune:checkpoint_minutes=1"),
)
"""Of small.yaml's steps; how a judge is asked: tests/workflow/test_judged.py."""


def test_run_knobs_rerun_nothing(flow: Flow) -> None:
    """Where there are shards, files come from other rules, without the other knobs."""
    shards = [knob for knob in KNOBS if ":shards=" in knob]
    others = [knob for knob in KNOBS if knob not in shards]
    for knobs in (shards, others):
        assert flow.rules(*SMALL, "--set-resources", *knobs) == {}


@pytest.mark.slow
@pytest.mark.parametrize("knob", KNOBS)
def test_a_run_knob_alone_reruns_nothing(flow: Flow, knob: str) -> None:
    assert flow.rules(*SMALL, "--set-resources", knob) == {}


def test_a_run_knob_of_zero_is_passed_on(bare: Flow) -> None:
    done = bare.snakemake(
        "-n", "-p", "--set-resources", "finetune:checkpoint_minutes=0"
    )
    assert "--set=checkpoint_minutes=0" in done.stdout


@pytest.mark.slow
def test_several_jobs_make_the_file_of_one(
    flow: Flow, warm: Callable[[Flow], None]
) -> None:
    """Byte for byte; its manifest says how it was made, and another number of jobs, or one,
    makes nothing again."""
    warm(flow)
    results = flow.root / "results"
    files = [
        *(results / "answers").rglob("bash/**/seed0.parquet"),
        *(results / "passes").rglob("seed0.parquet"),
    ]
    assert len(files) == 2
    before = {path: path.read_bytes() for path in files}
    for path in files:
        path.unlink()
        path.with_suffix(".json").unlink()
    parts = ["--set-resources", "generate_answers:shards=2", "generate_pass:shards=3"]
    parts += ["generate_answers:batch_size=2", "generate_pass:batch_size=1"]
    targets = ["--", *(str(path.relative_to(flow.root)) for path in files)]
    done = flow.snakemake("--cores", "2", *SMALL, *parts, *targets)
    assert done.returncode == 0, done.stdout
    assert {path: path.read_bytes() for path in files} == before
    for path, shards in zip(files, (2, 3), strict=True):
        manifest = json.loads(path.with_suffix(".json").read_text())
        assert [run["shard"] for run in manifest["run"]] == [*range(shards)]
        assert {run["shards"] for run in manifest["run"]} == {shards}
        assert not path.with_suffix(".shards").exists()
    done = flow.snakemake("--cores", "2", *SMALL, "--touch", *parts)
    for knobs in ([], parts, ["--set-resources", "generate_answers:shards=4"]):
        assert flow.rules(*SMALL, *knobs, *targets) == {}


def test_downloads_may_move(flow: Flow) -> None:
    (flow.root / "resources").rename(flow.root / "elsewhere")
    done = flow.snakemake("-n", *SMALL, SELFGEN_RESOURCES="elsewhere")
    assert "Nothing to be done" in done.stdout, done.stdout


def test_another_parent_reruns_what_comes_after_it(flow: Flow) -> None:
    """Which files a step reads is one of its parameters. Its rows are others, too: those that
    another parent has not read."""
    config = flow.config("small.yaml")
    config["methods"]["sft-continued"]["parent"] = "base"
    flow.write_config("small.yaml", config)
    plan = flow.rules(*SMALL)
    assert plan["finetune"] == plan["mix_rows"] == 1


def test_a_changed_helper_reruns_what_depends_on_it(flow: Flow) -> None:
    flow.replace("src/selfgen/mixing/order.py", "WINDOW = 8", "WINDOW = 7")
    plan = flow.rules(*SMALL)
    assert set(plan) == AFTER_TRAINING | {"mix_rows", "finetune", "generate_pass"}
    # The untouched model's answers do not depend on any training row.
    assert plan["generate_answers"] == plan["finetune"]


def test_an_optimiser_key_reruns_its_stage(flow: Flow) -> None:
    config = flow.config("small.yaml")
    config["stages"]["second"]["learning_rate"] = 7.0e-4
    flow.write_config("small.yaml", config)
    plan = flow.rules(*SMALL)
    assert set(plan) == AFTER_TRAINING | {"finetune"}
    assert plan["finetune"] == 2, "sft-continued and bash; sft is another stage"


def test_a_prompt_template_reruns_its_task(flow: Flow) -> None:
    """All but what is made of no prompt: records and base model."""
    flow.replace(
        "src/selfgen/tasks/wikipedia_descriptions.py",
        "in one short phrase",
        "in a phrase",
    )
    made = {"generate_pass", "mix_rows", "finetune"}
    assert set(flow.rules(*SMALL)) == AFTER_TRAINING | made


def test_a_prompt_template_of_another_task_reruns_nothing(flow: Flow) -> None:
    flow.replace(
        "src/selfgen/tasks/news_headlines.py", "a one-line headline", "a headline"
    )
    assert flow.rules(*SMALL) == {}


@pytest.mark.slow
def test_a_manifest_names_the_packages_that_it_was_made_with(flow: Flow) -> None:
    """An update reruns nothing, but what is made from then on says so."""
    another_package(flow)
    manifest = flow.root / "results/rows/descriptions/tiny/sft/seed0.json"
    target = str(manifest.relative_to(flow.root))
    before = json.loads(manifest.read_text())
    run = ("--cores", "1", *SMALL, "--forcerun", "mix_rows", "--", target)
    assert flow.snakemake(*run).returncode == 0
    after = json.loads(manifest.read_text())
    assert after["packages"] == before["packages"] | {"numpy": "99.0"}
    for what in ("spec", "code", "inputs", "outputs"):
        assert after[what] == before[what], what


def test_a_label_reruns_renderings_only(flow: Flow) -> None:
    flow.replace("small.yaml", "label: BASH", "label: Mixed")
    assert flow.rules(*SMALL) == {"tabulate": 4, "plot": 2, "render_samples": 1}


def test_a_failing_rule_shows_its_log(flow: Flow) -> None:
    results = flow.root / "results"
    scores = next((results / "scores").rglob("bash/**/seed0.parquet"))
    answers = next((results / "answers").rglob("bash/**/seed0.parquet"))
    answers.write_bytes(b"not a table")
    target = str(scores.relative_to(flow.root))
    done = flow.snakemake(
        *("--cores", "1", "--forcerun", "score_answers", *SMALL, "--", target)
    )
    assert done.returncode != 0
    name = answers.relative_to(flow.root)
    assert f"error: {name}: changed since generate_answers made it: " in done.stdout


def test_bare_dry_run_plans_jobs(bare: Flow) -> None:
    """Both ways to name the workflow plan the laptop scale, not "nothing"."""
    plans = [bare.rules(*extra) for extra in ([], ["-s", "workflow/Snakefile"])]
    assert plans[0] == plans[1]
    assert sum(plans[0].values()) > 50


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (
            "devise=cpu",
            "config: devise: unknown key, allowed: .*nearest: device",
        ),
        ("device=tpu", "config: device: found 'tpu', allowed: auto, cpu"),
        ("precision=half", "config: precision: found 'half', allowed: auto"),
    ],
)
def test_a_bad_key_ends_in_one_line(bare: Flow, value: str, line: str) -> None:
    done = bare.snakemake("-n", "--config", value)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    found = [text for text in done.stdout.splitlines() if text.startswith("config: ")]
    assert len(found) == 1
    assert re.match(line, found[0])


@pytest.mark.slow
def test_weights_of_rounds_go_when_the_next_is_trained(
    flow: Flow, warm: Callable[[Flow], None]
) -> None:
    warm(flow)
    config = flow.config("small.yaml")
    config["stages"]["long"] = config["stages"]["second"] | {"epochs": 3}
    config["methods"]["rounds"] = config["methods"]["bash"] | {
        "label": "Rounds",
        "rounds": 3,
        "stage": "long",
    }
    flow.write_config("small.yaml", config)
    models = flow.root / "results/models/descriptions/tiny"
    run = (
        "--cores",
        "2",
        *SMALL,
        "--",
        f"{models.relative_to(flow.root)}/rounds/seed0/weights",
    )
    done = flow.snakemake(*run)
    assert done.returncode == 0, done.stdout
    rounds = {
        path.parents[1].name for path in models.glob("rounds*/seed0/manifest.json")
    }
    assert rounds == {"rounds.r1", "rounds.r2", "rounds"}
    kept = {path.parents[1].name for path in models.glob("rounds*/seed0/weights")}
    assert kept == {"rounds"}
    assert flow.rules(*run) == {}
