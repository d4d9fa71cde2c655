"""Code digests, which decide what reruns, and atomic writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from selfgen import methods, tasks
from selfgen.core import provenance
from selfgen.evaluation import metrics
from tests.flow import REPO

RECORDS = {
    name: f"selfgen.tasks.build {tasks.module(name)}"
    for name in ("gsm8k", "qa", "tldr")
}
ROWS = {
    name: f"selfgen.mixing.build {methods.code(name)}"
    for name in ("plain", "bash", "random", "rac", "spin", "dpo", "pairs", "custom")
}
SCORES = {
    name: f"selfgen.evaluation.scores {metrics.module(name)}"
    for name in ("rouge", "latex")
}
STEPS = (
    *RECORDS.values(),
    "selfgen.models.base",
    *ROWS.values(),
    "selfgen.generation.passes",
    "selfgen.generation.answers",
    "selfgen.training.causal",
    *SCORES.values(),
    "selfgen.evaluation.lead_1",
    "selfgen.report.tables.main",
    "selfgen.report.tables.cost",
    "selfgen.synthetic.run",
    "selfgen.report.synthetic.render",
)
"""Each by the modules that make its code."""

COMPUTE = {
    *ROWS.values(),
    "selfgen.generation.passes",
    "selfgen.generation.answers",
    "selfgen.training.causal",
    "selfgen.synthetic.run",
}
"""The steps that take hours: rows, passes, answers, trainings."""
OTHERS = [
    path
    for version in ("3.12", "3.13", "3.14")
    for path in sorted(
        (Path.home() / ".pyenv" / "versions").glob(f"{version}*/bin/python")
    )
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of src/, free to be edited."""
    junk = shutil.ignore_patterns("__pycache__", "*.egg-info", ".ruff_cache")
    return Path(shutil.copytree(REPO / "src", tmp_path / "src", ignore=junk))


def digests(
    source: Path, python: str | Path = sys.executable, folder: Path | None = None
) -> dict[str, str]:
    """Digest of each step's code, computed by a fresh interpreter as in the workflow, in a
    ``folder`` of runs or in none."""
    code = (
        "import sys; from selfgen.core.provenance import code_digest\n"
        "print(*[code_digest(*step.split()) for step in sys.argv[1:]])"
    )
    done = subprocess.run(
        [python, "-B", "-c", code, *STEPS],
        cwd=folder or source,
        env=os.environ | {"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(STEPS, done.stdout.split(), strict=True))


@pytest.fixture(scope="module")
def unedited() -> dict[str, str]:
    return digests(REPO / "src")


def edit(source: Path, module: str, change: Callable[[str], str]) -> None:
    path = source / "selfgen" / f"{module}.py"
    before = path.read_text()
    after = change(before)
    assert before != after, "the edit changed nothing"
    path.write_text(after)


def unused(text: str) -> str:
    return text + "\n\nUNUSED = 1\n"


Changed = Callable[[str, Callable[[str], str]], set[str]]


@pytest.fixture
def changed(source: Path, unedited: dict[str, str]) -> Changed:
    """The steps whose digest an edit of a module changes, and those before it did."""

    def steps(module: str, change: Callable[[str], str]) -> set[str]:
        edit(source, module, change)
        after = digests(source)
        return {step for step in STEPS if unedited[step] != after[step]}

    return steps


def test_every_step_has_its_own_digest(unedited: dict[str, str]) -> None:
    assert len(set(unedited.values())) == len(STEPS)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("WINDOW = 8\n", "WINDOW = 8  # batches\n"),
        lambda text: text.replace('"""Batches that', '"""The batches that'),
        lambda text: text.replace('    """Steps of', '    """The steps of'),
        lambda text: text.replace("WINDOW = 8\n", "\n\nWINDOW = (\n    8\n)\n"),
        lambda text: text + "\n# the end\n",
        lambda text: text.replace("WINDOW = 8\n", "WINDOW: int = 8\n"),
        lambda text: text.replace(
            "epoch, read = 0, 0\n", "epoch, read = 0, 0\n    x: int\n"
        ),
        lambda text: text.replace("batch_size: int,", "batch_size: float,"),
        lambda text: text.replace(") -> list[Step]:", ") -> Any:"),
        lambda text: (
            text + ("\nif TYPE_CHECKING:\n    from selfgen.report import grid\n")
        ),
    ],
    ids=[
        *("comment", "attribute docstring", "docstring", "layout", "end", "constant"),
        *("declaration", "argument", "return", "import for checkers"),
    ],
)
def test_words_and_annotations_do_not_count(
    changed: Changed, change: Callable[[str], str]
) -> None:
    assert changed("mixing/order", change) == set()


def test_time_does_not_count(source: Path) -> None:
    before = digests(source)
    for path in source.rglob("*.py"):
        os.utime(path)
    assert digests(source) == before


def test_a_field_counts_in_its_own_step(changed: Changed) -> None:
    """In a class an annotation makes a field, so it is code of the step that reads it."""
    steps = changed("mixing/spec", lambda text: text + "    another: int = 0\n")
    assert steps == {*ROWS.values(), "selfgen.synthetic.run"}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("WINDOW = 8\n", "WINDOW = 9\n"),
        lambda text: text.replace("for epoch in range(epochs)", "for epoch in (0,)"),
        lambda text: text.replace('f"order/{seed}/{epoch}"', 'f"order/{seed}"'),
        lambda text: text + "\n\nUNUSED = None\n",
    ],
    ids=["constant", "loop", "string", "new name"],
)
def test_code_counts_where_it_is_imported(
    changed: Changed, change: Callable[[str], str]
) -> None:
    """The plan of the steps decides rows, and which rate a row has in a pass."""
    steps = changed("mixing/order", change)
    assert steps == {
        *ROWS.values(),
        "selfgen.generation.passes",
        "selfgen.synthetic.run",
    }


def test_a_helper_of_a_helper_counts(changed: Changed) -> None:
    steps = changed("core/hashing", unused)
    assert {*RECORDS.values(), *ROWS.values()} <= steps
    assert "selfgen.training.causal" not in steps


@pytest.mark.parametrize("name", RECORDS)
def test_a_loader_makes_the_records_of_its_own_data_set(
    changed: Changed, name: str
) -> None:
    assert changed(f"tasks/{name}", unused) == {RECORDS[name]}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("TL;DR:", "In short:"),
        lambda text: text.replace("published=True,", 'metrics=("chrf",),'),
    ],
    ids=["template", "metrics"],
)
def test_what_a_data_set_declares_is_no_code(
    changed: Changed, change: Callable[[str], str]
) -> None:
    """It reaches the steps that read it through their specs."""
    assert changed("tasks/tldr", change) == set()


@pytest.mark.parametrize("name", SCORES)
def test_a_metric_makes_its_own_scores(changed: Changed, name: str) -> None:
    assert changed(f"evaluation/metrics/{name}", unused) == {SCORES[name]}


def test_what_loads_data_makes_no_training_anew(source: Path, changed: Changed) -> None:
    """Neither loaders nor the leakage guard, nor what fetches and how often it tries."""
    for path in sorted((source / "selfgen" / "tasks").glob("[!_]*.py")):
        if path.stem != "build":  # synthetic experiments build their records themselves
            edit(source, f"tasks/{path.stem}", unused)
    read = ("tables", "leakage", "factbook", "wikipedia", "templates", "expressions")
    for module in (*read, "wheels", "files", "hub", "retries", "catalog"):
        edit(source, f"data/{module}", unused)
    pairs = {ROWS["pairs"]}  # made of a file, which `data/tables` reads
    assert changed("data/final_answers", unused) & COMPUTE == pairs


def test_a_retry_makes_no_records_anew(source: Path, changed: Changed) -> None:
    for module in ("wheels", "files", "hub"):
        edit(source, f"data/{module}", unused)
    assert changed("data/retries", unused) == set()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rac", lambda text: text.replace('draft.split(" ")', "draft.split()")),
        ("bash", lambda text: text.replace('["tokens"]', '["token"]')),
        ("random", lambda text: text.replace("sorted(counts)", "list(counts)")),
        ("pairs", lambda text: text.replace('["rejected"]', '["chosen"]')),
        ("dpo", lambda text: text.replace("by_id = {", "by_name = by_id = {")),
    ],
)
def test_a_method_makes_its_own_rows(
    changed: Changed, name: str, change: Callable[[str], str]
) -> None:
    assert changed(f"methods/{name}", change) == {ROWS[name]}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rac", lambda text: text.replace("+ CORRECTION_TOKENS", "+ 40")),
        ("bash", lambda text: text.replace("eos=self.eos,", "")),
        ("dpo", lambda text: text.replace("2 * (prompt + answer)", "prompt")),
        ("rac", lambda text: text.replace("Share of the examples", "How many")),
        ("base", unused),
    ],
    ids=["cost", "pass", "another cost", "description", "base"],
)
def test_what_is_asked_of_a_method_is_no_code_of_its_rows(
    changed: Changed, name: str, change: Callable[[str], str]
) -> None:
    """Its pass and its loss reach the steps that read them through their specs."""
    assert changed(f"methods/{name}", change) == set()


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("generation/spec", {"generation.passes", "generation.answers"}),
        ("training/spec", {"training.causal"}),
    ],
)
def test_a_new_field_of_a_spec_makes_no_rows_anew(
    changed: Changed, module: str, expected: set[str]
) -> None:
    steps = changed(module, lambda text: text + "    another: int = 0\n")
    assert not steps & set(ROWS.values())
    assert {f"selfgen.{name}" for name in expected} <= steps


def test_what_is_kept_of_syntax_changes_no_digest(
    source: Path, tmp_path: Path, unedited: dict[str, str]
) -> None:
    """Not of code as it was, nor of code that is edited or comes to it."""
    run = tmp_path / "run"
    (run / ".snakemake").mkdir(parents=True)
    kept = run / provenance.SYNTAX
    assert digests(source, folder=run) == unedited
    first = kept.read_text()
    assert digests(source, folder=run) == unedited
    assert kept.read_text() == first
    before, most = unedited, len(json.loads(first))
    later = "from selfgen.core import later\n"
    for module, change in (
        ("training/causal", unused),
        ("core/rng", lambda text: text + later),
        ("core/later", unused),
        ("core/later", lambda text: text + "MORE = 1\n"),
    ):
        path = source / "selfgen" / f"{module}.py"
        path.write_text(change(path.read_text() if path.exists() else ""))
        now = digests(source, folder=run)
        assert now == digests(source)
        assert now != before
        before = now
        entries = len(json.loads(kept.read_text()))
        assert entries >= most, "what the edit left alone would be parsed anew"
        most = entries
    for broken in ("{", "[]", '{"a": 1}', kept.read_text().replace('"', "'", 2)):
        kept.write_text(broken)
        assert digests(source, folder=run) == before
    crowd = json.loads(kept.read_text()) | {str(i): i for i in range(20_000)}
    kept.write_text(json.dumps(crowd))
    edit(source, "core/later", unused)
    before = digests(source, folder=run)
    assert before == digests(source)
    assert len(json.loads(kept.read_text())) <= most
    wrong = dict.fromkeys(json.loads(kept.read_text()), 7)
    kept.write_text(json.dumps(wrong))
    assert digests(source, folder=run) == before
    assert not (source / ".snakemake").exists()


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no Nothing to be computed with"):
        provenance.code_digest("selfgen.methods.rac:Nothing")


def test_renderings_touch_no_model(changed: Changed) -> None:
    steps = changed("report/grid", unused)
    assert steps == {
        "selfgen.report.tables.main",
        "selfgen.report.tables.cost",
        "selfgen.report.synthetic.render",
    }


def test_a_table_draws_no_other_anew(changed: Changed) -> None:
    steps = changed("report/tables/cost", unused)
    assert steps == {"selfgen.report.tables.cost"}


def test_the_configuration_is_no_code_of_a_step(source: Path, changed: Changed) -> None:
    """Keys reach a step through its spec; a new key must not rerun everything."""
    modules = ("config/__init__", "methods/base", "graph/lineage", "graph/steps")
    for module in (*modules, "config/tasks", "graph/scoring", "data/catalog"):
        edit(source, module, unused)
    assert changed("data/chat_templates", unused) == set()


def test_a_missing_module_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no module selfgen\.nothing"):
        provenance.code_digest("selfgen.nothing")


@pytest.mark.parametrize("python", OTHERS, ids=lambda path: path.parts[-3])
def test_the_same_under_another_python(unedited: dict[str, str], python: Path) -> None:
    """A results folder may move to a machine with another Python and rerun nothing."""
    assert digests(REPO / "src", python) == unedited


def test_atomic_file(tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "file"
    for text in ("one", "two"):
        with provenance.atomic(target) as partial:
            partial.write_text(text)
            assert not target.exists() or target.read_text() == "one"
        assert target.read_text() == text
    assert list(target.parent.iterdir()) == [target]


def test_atomic_folder(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for name in ("one", "two"):
        with provenance.atomic(target) as partial:
            partial.mkdir()
            (partial / name).write_text(name)
        assert [path.name for path in target.iterdir()] == [name]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("before", [True, False])
def test_atomic_failure(tmp_path: Path, kind: str, before: bool) -> None:
    target = tmp_path / "target"

    def write(path: Path, text: str) -> None:
        if kind == "folder":
            path.mkdir()
            path = path / "inner"
        path.write_text(text)

    if before:
        write(target, "old")
    with (
        pytest.raises(RuntimeError, match="halfway"),
        provenance.atomic(target) as partial,
    ):
        write(partial, "half")
        raise RuntimeError("halfway")
    assert list(tmp_path.iterdir()) == [target] * before
    if before:
        inner = target / "inner" if kind == "folder" else target
        assert inner.read_text() == "old"


def test_hash_of_a_folder_reads_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("x")
    (folder / "sub" / "b").write_text("y")
    first = provenance.sha256(folder)
    os.utime(folder / "a")
    for stray in (".nfs0001", ".DS_Store", "sub/.snakemake_timestamp"):
        (folder / stray).write_text("z")
    assert provenance.sha256(folder) == first
    (folder / "a").rename(folder / "c")
    assert provenance.sha256(folder) != first
    (folder / "c").rename(folder / "a")
    (folder / "sub" / "b").write_text("z")
    assert provenance.sha256(folder) != first
