"""What reruns, and what does not: a public contract.

One real run of a small configuration from a copy of the repository; every case edits the
copy or the configuration and reads the plan of a dry run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "workflow", "src", "config", "profiles", "envs")
SMALL = Path(__file__).with_name("small.yaml")
AFTER_TRAINING = {
    "generate_answers",
    "score_answers",
    "collect_results",
    "render_results",
    "render_samples",
    "all",
}


class Clone:
    """A copy of the repository with a finished run of the small configuration."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "clone"
        self.run_folder = self.root / "runs" / "small"
        self.config = folder / "small.yaml"

    def snakemake(self, *arguments: str, check: bool = True) -> str:
        """Not activated: the interpreter's absolute path is all there is."""
        command = [sys.executable, "-m", "snakemake", "--directory"]
        command += [str(self.run_folder), "--configfile", str(self.config)]
        done = subprocess.run(
            [*command, *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "SELFGEN_RESOURCES": str(ROOT / "resources"),
            },
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def plan(self, *arguments: str) -> dict[str, int]:
        """Rule -> jobs of a dry run; empty when there is nothing to be done."""
        text = self.snakemake("-n", *arguments)
        if "Nothing to be done" in text:
            return {}
        table = text.split("Job stats:")[1].split("total")[0]
        return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", table, re.M)}

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.config if path == "config" else self.root / path
        text = file.read_text()
        assert old in text, f"{path} does not hold {old!r}"
        file.write_text(text.replace(old, new, 1))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rerun")
    clone = Clone(folder)
    clone.root.mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, clone.root / part, ignore=ignore)
        else:
            shutil.copy(source, clone.root / part)
    shutil.copy(SMALL, clone.config)
    clone.run_folder.mkdir(parents=True)
    clone.snakemake("--cores", "2")
    return folder


@pytest.fixture
def clone(finished: Path) -> Clone:
    """The finished clone; edits of source and configuration are taken back."""
    made = Clone(finished)
    kept = finished / "kept"
    shutil.copytree(made.root / "src", kept, dirs_exist_ok=True)
    config = made.config.read_text()
    yield made
    shutil.copytree(kept, made.root / "src", dirs_exist_ok=True)
    made.config.write_text(config)


def test_second_run_does_nothing(clone: Clone) -> None:
    assert clone.plan() == {}


def touch(clone: Clone) -> None:
    for part in ("src", "workflow", "config"):
        for path in (clone.root / part).rglob("*.*"):
            path.touch()


def comment(clone: Clone) -> None:
    clone.edit("src/selfgen/mixing/order.py", "WINDOW = 8", "# why\nWINDOW = 8  # so")


def docstring(clone: Clone) -> None:
    clone.edit("src/selfgen/training/causal.py", '"""Fine-tuning of', '"""Tuning of')


def unrelated(clone: Clone) -> None:
    clone.edit("src/selfgen/cli/main.py", '"score": "score"', '"scores": "score"')


@pytest.mark.parametrize("change", [touch, comment, docstring, unrelated])
def test_what_changes_no_result_reruns_nothing(
    clone: Clone, change: Callable[[Clone], None]
) -> None:
    change(clone)
    assert clone.plan() == {}


def test_a_changed_helper_reruns_what_depends_on_it(clone: Clone) -> None:
    clone.edit("src/selfgen/mixing/order.py", "WINDOW = 8", "WINDOW = 7")
    plan = clone.plan()
    assert set(plan) == AFTER_TRAINING | {"mix_rows", "finetune", "generate_pass"}
    # The untouched model's answers do not depend on any training row.
    assert plan["generate_answers"] == plan["finetune"]


def test_an_optimiser_key_reruns_its_stage(clone: Clone) -> None:
    text = clone.config.read_text()
    second = text[text.index("second:") :]
    rate = re.search(r"learning_rate: *([\d.e+-]+)", second).group(0)
    clone.config.write_text(
        text.replace(second, second.replace(rate, "learning_rate: 7.0e-4", 1))
    )
    plan = clone.plan()
    assert set(plan) == AFTER_TRAINING | {"finetune"}
    assert plan["finetune"] == 2, "sft-continued and bash; sft is another stage"


def test_a_label_reruns_renderings_only(clone: Clone) -> None:
    clone.edit("config", "label: BASH", "label: Mixed")
    assert set(clone.plan()) == {"render_results", "render_samples", "all"}


def test_lost_metadata_reruns_nothing(clone: Clone) -> None:
    metadata = clone.run_folder / ".snakemake"
    aside = metadata.rename(metadata.with_name("aside"))
    try:
        assert clone.plan() == {}
    finally:
        shutil.rmtree(metadata, ignore_errors=True)
        aside.rename(metadata)


def test_a_failing_rule_shows_its_log(clone: Clone) -> None:
    scores = next((clone.run_folder / "results/scores").rglob("bash/**/seed0.parquet"))
    answers = next(
        (clone.run_folder / "results/answers").rglob("bash/**/shard0.parquet")
    )
    kept = answers.read_bytes()
    answers.write_bytes(b"not a table")
    try:
        target = str(scores.relative_to(clone.run_folder))
        text = clone.snakemake(
            "--cores", "1", "--forcerun", "score_answers", "--", target, check=False
        )
        assert "Traceback" in text
        assert "Parquet magic bytes not found" in text
    finally:
        answers.write_bytes(kept)


def test_bare_dry_run_plans_jobs() -> None:
    """Both ways to name the workflow plan the laptop scale, not "nothing"."""
    counts = []
    for extra in ([], ["-s", "workflow/Snakefile"]):
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "-n", "--forceall", *extra],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        counts.append(
            int(re.search(r"^total +(\d+)$", done.stdout + done.stderr, re.M).group(1))
        )
    assert counts[0] == counts[1] > 50


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--config", "devise=cpu"],
            "config: devise: unknown key, allowed: .*nearest: device",
        ),
        (["--config", "device=tpu"], "config: device: found 'tpu', allowed: auto, cpu"),
        (
            ["--config", "precision=half"],
            "config: precision: found 'half', allowed: auto",
        ),
    ],
)
def test_a_bad_key_ends_in_one_line(arguments: list[str], line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in said
    found = [text for text in said.splitlines() if text.startswith("config: ")]
    assert len(found) == 1
    assert re.match(line, found[0])
