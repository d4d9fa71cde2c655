"""The code digest of every rule holds the whole code of its step, and that of no other entry
of a registry. Every case is an edit in a copy of the package."""

from __future__ import annotations

import ast
import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfgen import benchmarks, methods, tasks
from selfgen.core.registry import module_of
from selfgen.evaluation import metrics
from selfgen.graph.rules import RULES
from selfgen.report import tables
from selfgen.report.registry import all_tables
from tests.flow import REPO

SMALL = REPO / "tests" / "workflow" / "small.yaml"
FETCHED = {"fetch_wheel", "fetch_file", "fetch_hub"}
"""Their results are pinned by hash, whatever fetches them."""

PARTS = {"gather_pass": "generate_pass", "gather_answers": "generate_answers"}
"""Steps whose file is that of another rule, and has its digest."""

DRIVER = """
import ast, json, sys
from pathlib import Path
import yaml
from selfgen.core import provenance
from selfgen.graph import code, dialogues, files, scoring, tables, tuning
from selfgen.graph.workflow import open_workflow

# What is kept of a file is forgotten while it is edited.
parse, kept = provenance._parsed.__wrapped__, {}
def parsed(module):
    if module not in kept:
        kept[module] = parse(module)
    return kept[module]
provenance._parsed = parsed

def forgotten(module):
    own = [key for key in kept if key.partition(":")[0] == module]
    return {key: kept.pop(key) for key in own}

def uses(workflow, job):
    '''What of the registries a job computes with.'''
    graph, w = workflow.graph, job.wildcards
    if job.rule == "run_experiment":
        section = graph.experiments[w["experiment"]]
        mixes = {m.mix for m in section.methods.values()} - {"none"}
        return [section.task.dataset, *mixes]
    if job.rule in ("build_records", "measure_steps", "measure_model", "show_measures"):
        return [graph.config.tasks[w["task"]].dataset]
    if job.rule in ("score_answers", "score_lead_1"):
        return scoring.names(graph.config, w["task"])
    if job.rule == "mix_rows":
        if dialogues.of(graph, w["task"], w["checkpoint"]):
            return []
        method = graph.trained_method(w["checkpoint"])
        graded = scoring.names(graph.config, w["task"]) if method.graded else ()
        checked = [f"checker of {graph.config.tasks[w['task']].dataset}"]
        return [method.mix, *graded, *checked * method.checked]
    if job.rule == "finetune":
        return ["loss: " + workflow.graph.trained_method(w["checkpoint"]).loss]
    if "benchmark" in w:
        return [w["benchmark"]]
    if job.rule in ("tabulate", "plot"):
        drawn = tables.tables if job.rule == "tabulate" else tables.figures
        found = drawn(graph)[w.get("table", w.get("figure"))]
        scored = [
            name
            for task in (graph.config.tasks if "scores" in found.inputs else ())
            for name in scoring.names(graph.config, task)
        ]
        return [found.spec.kind, *scored]
    return []

def step(workflow, job):
    if job.rule == "finetune":
        where = job.wildcards["task"], job.wildcards["checkpoint"]
        return tuning.step(workflow.graph, *where)
    if job.rule == "mix_rows":
        where = job.wildcards["task"], job.wildcards["checkpoint"]
        return dialogues.step(workflow.graph, *where)
    return job.rule

jobs = []
for path in json.loads(sys.argv[1]):
    raw = yaml.safe_load(Path(path).read_text())
    workflow = open_workflow(raw, [path], Path.cwd())
    seen = set()
    for job in files.jobs(workflow):
        used = sorted(set(uses(workflow, job)))
        key = step(workflow, job), *used
        if key not in seen:
            seen.add(key)
            jobs.append((workflow, job, key))

def digests():
    provenance.code_digest.cache_clear()
    return [workflow.code(job.rule, job.wildcards) for workflow, job, _ in jobs]

def edited(text, names):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        kinds = ast.FunctionDef | ast.ClassDef
        if isinstance(node, kinds) and (not names or node.name in names):
            node.body.append(ast.parse("_edited = 1").body[0])
    if not names:
        tree.body.append(ast.parse("_edited = 1").body[0])
    return ast.unparse(tree)

before = digests()
print(json.dumps([key for *_, key in jobs]))
for line in sys.stdin:
    module, names = json.loads(line)
    path = provenance._file(module)
    text = path.read_text()
    path.write_text(edited(text, names))
    own = forgotten(module)
    print(json.dumps([a != b for a, b in zip(before, digests())]))
    path.write_text(text)
    forgotten(module)
    kept |= own
"""

OWN = """
def rows(mixing, i, epoch):
    return []
"""


class Digests:
    """All kinds of jobs of all shipped configurations: the step of each, what it uses of the
    registries, and whether an edit of a module changes its digest."""

    def __init__(self, root: Path) -> None:
        junk = shutil.ignore_patterns("__pycache__", "*.egg-info", ".ruff_cache")
        shutil.copytree(REPO / "src", root / "src", ignore=junk)
        for part in ("config", "docs/reference/proxies"):
            shutil.copytree(REPO / part, root / part)
        (root / "own.py").write_text(OWN)
        files = [str(path) for path in (*_shipped(), _others(root))]
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-B", "-c", DRIVER, json.dumps(files)],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.jobs = [(step, frozenset(used)) for step, *used in self._answer()]

    def changed(self, module: str, *names: str) -> set[tuple[str, frozenset[str]]]:
        """Those that an edit of a module changes: of all that it defines, or of the
        functions of some names."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps([module, names]) + "\n")
        self.process.stdin.flush()
        changed = self._answer()
        return {
            job for job, is_other in zip(self.jobs, changed, strict=True) if is_other
        }

    def _answer(self) -> Any:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())


def _shipped() -> Iterator[Path]:
    for path in sorted((REPO / "config").glob("*.yaml")):
        if {"methods", "experiments"} & yaml.safe_load(path.read_text()).keys():
            yield path


def _others(root: Path) -> Path:
    """What no shipped configuration has."""
    raw = yaml.safe_load(SMALL.read_text())
    (task,) = raw["tasks"].values()
    task["metrics"] = ["chrf"]
    raw["tasks"]["chat"] = {
        "dataset": "ultrachat",
        "train_rows": 8,
        "max_new_tokens": 8,
    }
    raw["tasks"]["chat"] |= {"test_rows": 4, "metrics": ["rouge"]}
    own = {"label": "Own", "mix": "custom", "function": "own.py:rows"}
    raw["methods"]["own"] = own | {"parent": "sft", "stage": "second"}
    raw["stages"]["second"]["learning_rate"] = [1e-4, 1e-3]
    raw["tasks"]["chat"]["stages"] = {"second": "sft"}
    raw["tasks"]["leads"] = raw["tasks"]["chat"] | {"dataset": "news-leads"}
    (root / "rows.jsonl").write_text("")
    raw["tasks"]["mine"] = raw["tasks"]["chat"] | {
        "dataset": "file",
        "files": str(root / "rows.jsonl"),
        "prompt": "question",
        "reference": "answer",
        "source": "us",
        "licence": "none",
    }
    raw["evaluation"] = {"baseline": ["sft", "sft-continued"]}
    online = {"label": "Online", "mix": "online"}
    raw["methods"]["online"] = online | {"parent": "sft", "stage": "second"}
    (root / "others.yaml").write_text(yaml.safe_dump(raw))
    return root / "others.yaml"


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Digests]:
    made = Digests(tmp_path_factory.mktemp("digests"))
    yield made
    assert made.process.stdin
    made.process.stdin.close()
    assert made.process.wait(60) == 0


@functools.cache
def imported(module: str) -> frozenset[str]:
    """A module and all of the package that its statements import, wherever they stand, but
    for type checkers."""
    found, todo = set[str](), [module]
    while todo:
        name = todo.pop()
        base = REPO / "src" / name.replace(".", "/")
        files = (base.with_suffix(".py"), base / "__init__.py")
        path = next((file for file in files if file.is_file()), None)
        if path is None or name in found:
            continue
        found.add(name)
        tree = ast.parse(path.read_text())
        checked = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for statement in node.body
            for inner in ast.walk(statement)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and id(node) not in checked:
                todo += [
                    str(node.module),
                    *(f"{node.module}.{a.name}" for a in node.names),
                ]
    return frozenset(name for name in found if name.startswith("selfgen."))


def of(digests: Digests, step: str) -> set[tuple[str, frozenset[str]]]:
    """The jobs of a step; of one that gathers parts, those whose file it makes."""
    return {job for job in digests.jobs if job[0] == PARTS.get(step, step)}


STEPS = sorted(set(RULES) - FETCHED)


@pytest.mark.parametrize("step", STEPS)
def test_the_code_of_a_step_is_in_its_digest(digests: Digests, step: str) -> None:
    jobs = of(digests, step)
    assert jobs, "no configuration has it"
    assert jobs <= digests.changed(RULES[step].module, "step")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_whatever_a_step_imports_is_in_its_digest(digests: Digests, step: str) -> None:
    jobs = of(digests, step)
    for module in sorted(imported(RULES[step].module)):
        assert jobs <= digests.changed(module), module


REGISTERED = [
    *(("tasks", name, tasks.module(name)) for name in tasks.DATASETS),
    *(("methods", name, module_of(methods.__name__, name)) for name in methods.TRAINED),
    *(("metrics", name, metrics.module(name)) for name in metrics.METRICS),
    *(("benchmarks", name, benchmarks.module(name)) for name in benchmarks.BENCHMARKS),
    *(("tables", name, module_of(tables.__name__, name)) for name in all_tables()),
]
USERS = {
    "tasks": {
        "build_records",
        "measure_steps",
        "measure_model",
        "show_measures",
        "mix_rows",
        "run_experiment",
    },
    "methods": {"mix_rows", "run_experiment"},
    "metrics": {"score_answers", "score_lead_1", "mix_rows", "tabulate", "plot"},
    "benchmarks": {"answer_benchmark", "grade_benchmark", "ask_few_shot"},
    "tables": {"tabulate"},
}
"""The steps that ask a registry."""


@pytest.mark.parametrize(
    ("registry", "name", "module"), REGISTERED, ids=lambda value: value.split(".")[-1]
)
def test_an_entry_of_a_registry_is_code_of_what_uses_it(
    digests: Digests, registry: str, name: str, module: str
) -> None:
    """And of nothing else, but what imports its module."""
    names = {name, f"checker of {name}"} if registry == "tasks" else {name}
    users = {
        job for job in digests.jobs if job[0] in USERS[registry] and names & job[1]
    }
    assert users, "no configuration has it"
    modules = {entry: one for kind, entry, one in REGISTERED if kind in USERS}
    importers = {
        (step, used)
        for step, used in digests.jobs
        if module in imported(RULES[step].module)
        or any(module in imported(modules[other]) for other in used if other in modules)
    }
    changed = digests.changed(module)
    assert users <= changed <= users | importers


def test_engines_are_code_of_trainings_that_draw_with_them(digests: Digests) -> None:
    trainings = of(digests, "finetune")
    online = {job for job in trainings if "loss: online" in job[1]}
    assert online and online < trainings
    for module in ("training.online", "generation.speculative", "generation.engines"):
        assert digests.changed(f"selfgen.{module}") & trainings == online


def test_figures_are_of_one_style(digests: Digests) -> None:
    changed = digests.changed("selfgen.report.style")
    drawing = {"plot", "render_ablations", "show_measures"}
    assert {step for step, _ in changed} == drawing
    assert of(digests, "plot") <= changed
