"""The door of the workflow: what its rules ask of a configuration.

A rule asks by its name and its wildcards: which files it reads, what its step reads beside
them, which code it computes with. All else in the workflow is wiring.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any

from selfgen.config import files, load
from selfgen.config.synthetic import Synthetic
from selfgen.config.synthetic import load as load_synthetic
from selfgen.core import places
from selfgen.core.errors import UserError
from selfgen.core.names import DECODINGS
from selfgen.core.provenance import atomic, code_digest, spec_digest
from selfgen.core.spec import to_json
from selfgen.graph import (
    benchmarks,
    checked,
    dialogues,
    exposure,
    judging,
    measuring,
    paths,
    sizes,
    synthetic,
    tables,
    tuning,
)
from selfgen.graph.code import CODE
from selfgen.graph.inputs import INPUTS, Files, each_of
from selfgen.graph.rules import RULES
from selfgen.graph.steps import Graph
from selfgen.runtime.job import KNOBS

SPECS: dict[str, Callable[..., Any]] = {
    "fetch_wheel": lambda graph, filename: graph.sources.fetched_wheels()[filename],
    "fetch_file": lambda graph, fetched: graph.sources.fetched_files()[fetched],
    "fetch_hub": lambda graph, hub: graph.sources.hubs()[hub],
    "build_records": Graph.records,
    "check_leakage": Graph.leakage,
    "prepare_base": Graph.model,
    "generate_pass": Graph.generation,
    "mix_rows": dialogues.rows,
    "finetune": tuning.train,
    "choose_rate": tuning.rate,
    "choose_baseline": tuning.baseline,
    "generate_answers": Graph.answers,
    "score_answers": Graph.scores,
    "score_lead_1": Graph.scores,
    "measure_exposure": exposure.spec,
    "measure_steps": checked.spec,
    "measure_model": measuring.spec,
    "show_measures": measuring.page,
    "measure_loss": dialogues.loss,
    "judge_answers": judging.spec,
    "answer_benchmark": benchmarks.answers,
    "grade_benchmark": benchmarks.grades,
    "ask_few_shot": benchmarks.shots,
    "collect_results": tables.collect,
    "tabulate": lambda graph, table: tables.tables(graph)[table].spec,
    "plot": lambda graph, figure: tables.figures(graph)[figure].spec,
    "render_samples": tables.samples,
    "run_experiment": synthetic.spec,
    "collect_experiments": synthetic.collect,
    "render_ablations": synthetic.tables,
}
"""By rule; called with the graph and those of the wildcards that each names."""

LONGEST = 64 * 1024
"""Bytes of a command's arguments. Linux takes 128 KiB as one, and a shell gets all in one,
quoted."""

STEPS: dict[str, Callable[..., str]] = {
    "mix_rows": dialogues.step,
    "finetune": tuning.step,
}
"""By rule, where its step is not always that of its name; called as ``SPECS``."""

MODEL_GB = 8
"""Memory of a job that runs a model, in thousands of MiB, which are Slurm's megabytes: no job
of a shipped run took more."""

TABLES = ("md", "tex", "csv", "json")
FIGURES = ("pdf", "svg", "png")
"""Endings of the files of a table and of a figure."""


IN_REPORT = ("tabulate", "plot", "render_ablations")
"""Rules whose parameters Snakemake writes into a script of its report as they are: a label
with ``</script>`` would end it."""


class Workflow:
    """A configuration, asked by rule. ``graph``: of its steps, or the configuration of
    synthetic experiments; ``resources``: the folder of downloads; ``root``: of the code."""

    def __init__(self, graph: Any, resources: str, root: str) -> None:
        self.graph, self.resources = graph, resources
        # Replies are paid for: they are kept, and shared by all scales.
        replies = f"{resources}/replies"
        self.folders = {"root": root, "scratch": "scratch", "replies": replies}
        self._told: dict[tuple[Any, ...], Any] = {}

    @property
    def keeps_weights(self) -> bool:
        """Whether fine-tuned weights stay when nothing needs them any more."""
        return isinstance(self.graph, Synthetic) or self.graph.config.keep_weights

    def spec(self, rule: str, wildcards: Any) -> str:
        """What a step reads, as canonical JSON."""
        text: str = self._kept(SPECS[rule], wildcards, to_json)
        return text.replace("<", r"\u003c") if rule in IN_REPORT else text

    def code(self, rule: str, wildcards: Any) -> str:
        """The digest of the code that a step computes with."""
        if rule not in CODE:
            return code_digest(RULES[rule].module)
        digest: str = self._ask(CODE[rule], wildcards)
        return digest

    def inputs(self, rule: str, wildcards: Any) -> Files:
        """The files of a rule by name."""
        files: Files = self._kept(INPUTS[rule], wildcards, dict)
        return files

    def reads(self, rule: str, wildcards: Any) -> list[str]:
        """All files of a rule: of downloads, which may lie anywhere, their names."""
        if rule not in INPUTS:
            return []
        files = each_of(self.inputs(rule, wildcards))
        return [file.removeprefix(self.resources) for file in files]

    def pins(self, rule: str, wildcards: Any) -> list[str]:
        """Arguments that say what hash an input must have."""
        if rule not in INPUTS or isinstance(self.graph, Synthetic):
            return []
        pinned, files = self.graph.sources.pins, self.inputs(rule, wildcards)
        return [
            f"--pin={name}={pinned[item]}"
            for name, item in files.items()
            if isinstance(item, str) and item in pinned
        ]

    def is_download(self, path: str) -> bool:
        """Whether a file is pinned, so that another download of it reruns nothing."""
        return path.startswith(f"{self.resources}/")

    def step(self, rule: str, wildcards: Any) -> str:
        """The name of the step that a rule runs."""
        return self._ask(STEPS[rule], wildcards) if rule in STEPS else rule

    def arguments(
        self, rule: str, wildcards: Any, input: Any, output: Any, resources: Any
    ) -> list[str]:
        """Those arguments of a step that cause no rerun, from what Snakemake knows of a job.
        Resources that are run knobs are passed on."""
        address = "/".join(map(str, wildcards))
        arguments = [f"--name={rule} {address}".rstrip()]
        for kind, named in (("input", input), ("output", output)):
            for name, item in named._allitems():
                for file in [item] if isinstance(item, str) else item:
                    is_made = kind == "input" and paths.is_made(file)
                    option = "made" if is_made else kind
                    arguments.append(f"--{option}={name or PurePath(file).name}={file}")
        if gpus := resources.get("gpu"):
            arguments.append(f"--gpus={gpus}")
        knobs: dict[str, Any] = dict(self.folders)
        given = dict(wildcards.items())
        for name in KNOBS:
            value = given.get(name, resources.get(name))
            if value not in (None, ""):  # 0 says something
                knobs[name] = value
        return [*arguments, *(f"--set={name}={value}" for name, value in knobs.items())]

    def quoted(self, arguments: list[str]) -> str:
        """Arguments as a shell takes them, each quoted: where they are more than it may be
        given, the name of a file of them."""
        text = "".join(f"{argument}\n" for argument in arguments)
        if len(text.encode()) <= LONGEST:
            return shlex.join(arguments)
        path = Path(".snakemake", "arguments", f"{spec_digest(text)}.txt")
        # A plan is to be had where nothing may be written; a job would say what it lacks.
        with contextlib.suppress(OSError), atomic(path) as partial:
            partial.write_text(text, encoding="utf-8")
        return shlex.quote(f"@{path}")

    @property
    def model_gb(self) -> int:
        return MODEL_GB

    def gpus(self) -> int:
        """GPUs of a job that runs a model."""
        return int(self.graph.gpus())

    def limits(self, wildcards: Any) -> str:
        """How the endpoint that judges is asked, as JSON."""
        if "comparison" in dict(wildcards.items()):
            return to_json(judging.limits(self.graph, wildcards.comparison))
        return to_json(benchmarks.limits(self.graph, wildcards.benchmark))

    def names(self) -> dict[str, list[str]]:
        """The values of each wildcard, and those that only some rules take. ``declared``: the
        checkpoints that are results, unlike those of rounds and rates; ``temporary``: those
        whose weights go when nothing needs them any more."""
        graph, config = self.graph, self.graph.config
        every = set(graph.checkpoints)
        declared = {n for n in every if n == graph.checkpoints[n].declared}
        temporary = every - declared if self.keeps_weights else every
        return {
            "task": list(config.tasks),
            "model": list(config.models),
            "checkpoint": list(graph.checkpoints),
            "decoding": [*DECODINGS, paths.VALIDATION],
            "declared": sorted(declared),
            "kept": sorted(every - temporary),
            "temporary": sorted(temporary),
            "comparison": judging.names(graph),
            "judged": benchmarks.judged(graph),
            "few_shot": benchmarks.few_shot(graph),
            "table": list(tables.tables(graph)),
            "figure": list(tables.figures(graph)),
            "filename": list(graph.sources.fetched_wheels()),
            "fetched": list(graph.sources.fetched_files()),
            "hub": list(graph.sources.hubs()),
        }

    def results(self) -> dict[str, list[str]]:
        """What a run is for: tables and figures, and the files that are kept besides."""
        if isinstance(self.graph, Synthetic):
            return synthetic.results(self.graph)
        graph, drawn = self.graph, tables.tables(self.graph)
        return {
            "tables": [
                *(
                    paths.fill(paths.TABLE, table=t, kind=k)
                    for t in drawn
                    for k in TABLES
                ),
                paths.SAMPLES,
            ],
            "figures": [
                paths.fill(paths.FIGURE, figure=figure, kind=kind)
                for figure in tables.figures(graph)
                for kind in FIGURES
            ],
            "kept": [
                *tables.collected(graph)["scores"],
                *checked.files(graph),
                *measuring.pages(graph),
                paths.MANIFESTS,
                *(paths.fill(paths.LEAKAGE, task=task) for task in graph.config.tasks),
            ],
        }

    def trained(self) -> list[str]:
        """The manifests of all models that are fine-tuned."""
        return tables.collected(self.graph)["trained"]

    def answered(self) -> list[str]:
        """The manifests of all answers, those that something is chosen by among them."""
        cells = tuning.answered(self.graph)
        files = [paths.of_cell(paths.ANSWERS, cell) for cell in cells]
        return [*tables.collected(self.graph)["answers"], *map(paths.manifest, files)]

    def about(self, wildcards: Any) -> str:
        """What a reader of the report page should know of a table or figure."""
        if "table" in dict(wildcards.items()):
            return tables.tables(self.graph)[wildcards.table].about
        return tables.figures(self.graph)[wildcards.figure].about

    def threads(self, model: str, cores: int) -> int:
        """CPU threads of a job that runs a model.

        Cores go to jobs side by side before they go to threads: on two cores, two trainings
        of one thread each end sooner than the same two in turn with two threads. The tasks do
        not wait for each other, so as many jobs run at once as there are tasks, where memory
        allows.
        """
        if self.graph.config.models[model].kind == "random":
            return 1
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
        side_by_side = max(
            1, min(len(self.graph.config.tasks), int(memory // MODEL_GB))
        )
        return max(1, cores // side_by_side)

    def rows_gb(self, wildcards: Any) -> int:
        """Memory for training rows: 207,865 dialogues have 286 million tokens, of four bytes
        each."""
        packed = dialogues.of(self.graph, wildcards.task, wildcards.checkpoint)
        return 4 if packed else 2

    def _kept(
        self,
        function: Callable[..., Any],
        wildcards: Any,
        written: Callable[[Any], Any],
    ) -> Any:
        """As ``_ask``, as it is to be ``written``, and kept: Snakemake asks each thing of a
        job several times."""
        asked = (function, *self._given(function, wildcards).items())
        if asked not in self._told:
            self._told[asked] = written(self._ask(function, wildcards))
        return self._told[asked]

    def _ask(self, function: Callable[..., Any], wildcards: Any) -> Any:
        return function(self.graph, **self._given(function, wildcards))

    @staticmethod
    def _given(function: Callable[..., Any], wildcards: Any) -> dict[str, Any]:
        """Those of the wildcards that a function names."""
        given = dict(wildcards.items())
        values = {name: given[name] for name in _names(function) if name in given}
        if "seed" in values:
            values["seed"] = int(values["seed"])
        return values


@functools.cache
def _names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Of its parameters, but for the graph."""
    return tuple(inspect.signature(function).parameters)[1:]


def open_workflow(
    raw: dict[str, Any], files_given: Sequence[str | Path], root: Path
) -> Workflow:
    """The workflow of a configuration.

    Raises UserError: a file or a value in it is wrong, or the folder of downloads.
    """
    for path in files_given:
        files.check(Path(path))
    resources = places.resources(root)
    if set("{}") & set(resources):
        raise UserError(
            f"{resources}: downloads cannot lie in a folder with braces, which Snakemake"
            " takes for wildcards; name another by SELFGEN_RESOURCES"
        )
    if "experiments" in raw:
        config = load_synthetic(raw)
        sizes.check(config)
        return Workflow(config, resources, os.path.relpath(root))
    code = places.own_code(root)
    graph = Graph(load(raw), code, resources)
    sizes.check(graph)
    graph.check_models()
    judging.check(graph)
    benchmarks.check(graph)
    tables.tables(graph)  # reads the file of known numbers
    return Workflow(graph, resources, os.path.relpath(code))


__all__ = ["UserError", "Workflow", "files", "open_workflow", "places"]
