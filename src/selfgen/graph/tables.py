"""The tables and figures of a configuration: which there are, and what each reads."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfgen.graph import (
    benchmarks,
    checked,
    dialogues,
    exposure,
    judging,
    measuring,
    paths,
    scoring,
    tuning,
    twins,
    verify,
)
from selfgen.graph.steps import Graph
from selfgen.methods.base import LEAD_1, Trained
from selfgen.report import spec as r
from selfgen.report.collect import NO_MODEL
from selfgen.report.figures import FIGURES, Stages
from selfgen.report.registry import REFERENCES, Rendering, all_tables
from selfgen.report.tables.controls import Controls
from selfgen.report.tables.exposure import Exposure
from selfgen.report.tables.online import Online
from selfgen.report.tables.preference import Preference
from selfgen.report.tables.verify import KnownNumbers
from selfgen.tasks import DATASETS


@dataclass(frozen=True)
class Job:
    """What draws a table or figure: its spec, its inputs by name, the modules of its code,
    and what a reader of the report page should know."""

    spec: r.TableSpec[Any]
    inputs: dict[str, list[str]]
    modules: tuple[str, ...]
    about: str


def _entries(graph: Graph) -> Iterator[Job]:
    """All tables of a configuration but ``verify``, which reads others."""
    table = functools.partial(_job, graph, all_tables())
    for name in ("main", "details", "cost"):
        yield table(name)
    if any(cell.decoding != "direct" for cell in graph.cells()):
        yield table("corrections")
    if (cells := tuning.tuned(graph)) or tuning.candidates(graph):
        files = tuning.baseline_files(graph)
        rates = tuning.rate_files(graph)
        yield table("tuning", cells, rates=rates, references=files)
    if online := _online(graph):
        cells, files = checked.cells(graph), checked.files(graph)
        yield table("online", cells, online, errors=files)
    if pairs := tuple(twins.pairs(_trained(graph))):
        cells, files = checked.cells(graph), checked.files(graph)
        yield table("controls", cells, Controls(pairs), errors=files)
    if stages := _preference(graph):
        yield table("preference", own=stages)
    if cells := exposure.cells(graph):
        files = [paths.of_cell(paths.EXPOSURE, cell) for cell in cells]
        yield table("exposure", cells, _exposure(graph), errors=files)
    if cells := checked.cells(graph):
        yield table("steps", cells, errors=checked.files(graph))
        yield table("claims", cells, errors=checked.files(graph))
        yield table("lengths", cells, errors=checked.files(graph))
    if cells := measuring.cells(graph):
        lengths = measuring.lengths(graph)
        yield table("measures", cells, lengths, read=measuring.files(graph))
    if cells := dialogues.cells(graph):
        yield table("held-out-loss", cells, losses=map(dialogues.path, cells))
    for name in judging.names(graph):
        cells, words = judging.cells(graph, name), judging.words(graph, name)
        files = [paths.of_cell(paths.JUDGMENTS, c, comparison=name) for c in cells]
        yield table(f"win-rates-{name}", cells, words, "win-rates", judgments=files)
    for name in benchmarks.names(graph):
        cells, graded = benchmarks.cells(graph, name), benchmarks.words(graph, name)
        files = [paths.of_cell(paths.GRADES, c, benchmark=name) for c in cells]
        yield table(name, cells, graded, "benchmark", grades=files)


@functools.cache
def tables(graph: Graph) -> dict[str, Job]:
    """All tables of a configuration by name."""
    jobs = {job.spec.name: job for job in _entries(graph)}
    known = verify.known_numbers(graph)
    held = [one for one in known if one.number.table in jobs]
    if known:
        read = tuple(n for n in jobs if n in {one.number.table for one in held})
        jobs["verify"] = _job(
            graph,
            all_tables(),
            "verify",
            own=KnownNumbers(known, read, verify.judges(graph)),
            tables=[paths.fill(paths.TABLE, table=name, kind="csv") for name in read],
            manifests=dict.fromkeys(path for one in held for path in one.manifests),
        )
    return jobs


@functools.cache
def figures(graph: Graph) -> dict[str, Job]:
    """All figures of a configuration by name."""
    jobs = {
        "main": _job(graph, FIGURES, "main"),
        "curves": _job(graph, FIGURES, "curves", own=_stages(graph)),
    }
    if cells := checked.cells(graph):
        steps = _job(graph, FIGURES, "step-errors", cells, errors=checked.files(graph))
        jobs["step-errors"] = steps
    return jobs


def samples(graph: Graph) -> r.TableSpec[None]:
    """The cells whose answers stand side by side, in order."""
    return _spec(graph, "samples", "samples", graph.cells(), None)


def _job(
    graph: Graph,
    known: Mapping[str, Rendering[Any]],
    name: str,
    cells: Sequence[r.Cell] = (),
    own: Any = None,
    kind: str = "",
    **files: Iterable[str],
) -> Job:
    """``kind``: its name in the registry, where that is another; ``files``: its inputs that
    are not ``paths.COLLECTED``, of each cell in order."""
    drawn = known[kind or name]
    inputs = {
        x: list(files[x]) if x in files else [paths.COLLECTED[x]] for x in drawn.reads
    }
    if chosen := tuning.baseline_files(graph):
        inputs[REFERENCES] = chosen
    spec = _spec(graph, kind or name, name, cells, own)
    # Tables of scores ask metrics what they are called.
    own = (
        scoring.modules(graph.config, *graph.config.tasks) if "scores" in inputs else ()
    )
    return Job(spec, inputs, (drawn.draw.__module__, *own), drawn.about)


def collect(graph: Graph) -> r.CollectSpec:
    """Whose scores, weights, passes and answers the collected files are."""
    return r.CollectSpec(
        cells=(*_lead_1(graph), *graph.cells()),
        parents={
            name: method.parent if isinstance(method, Trained) else None
            for name, method in graph.config.methods.items()
        },
        trained=tuple(r.Trained(*address) for address in graph.trained()),
        checkpoints=_methods(graph),
        passed=tuple(made for made, _ in _passed(graph)),
    )


def collected(graph: Graph) -> dict[str, list[str]]:
    """The files that are collected by name, those of each in the order of ``collect``."""
    cells = graph.cells()
    answers = [paths.of_cell(paths.ANSWERS, cell) for cell in cells]
    trained = [
        dict(zip(("task", "model", "checkpoint", "seed"), address, strict=True))
        for address in graph.trained()
    ]
    first = [paths.fill(paths.LEAD_1, task=cell.task) for cell in _lead_1(graph)]
    return {
        "scores": [*first, *(paths.of_cell(paths.SCORES, cell) for cell in cells)],
        "trained": [paths.fill(paths.TRAINED, **address) for address in trained],
        "curves": [paths.fill(paths.CURVE, **address) for address in trained],
        "passed": [paths.manifest(file) for _, file in _passed(graph)],
        "answers": list(map(paths.manifest, answers)),
    }


def _passed(graph: Graph) -> list[tuple[r.Passed, str]]:
    """Every pass once, with the checkpoints that are trained on it, and its file."""
    readers: dict[str, list[str]] = {}
    made = {}
    for task, model, checkpoint, seed in graph.trained():
        if file := graph.pass_file(task, model, checkpoint, seed):
            readers.setdefault(file, []).append(checkpoint)
            made[file] = (task, model, seed)
    return [
        (r.Passed(task, model, seed, tuple(readers[file])), file)
        for file, (task, model, seed) in made.items()
    ]


def _spec(
    graph: Graph, kind: str, name: str, cells: Sequence[r.Cell], own: Any
) -> r.TableSpec[Any]:
    columns = []
    primary = graph.config.evaluation.primary
    for task, t in graph.config.tasks.items():
        column = graph.column(task)
        for split in graph.record_splits(task):
            shared = split in DATASETS[t.dataset].shared_templates
            title = task if split == "test" else f"{task}, {split.replace('_', ' ')}"
            asked = primary.tasks is None or task in primary.tasks
            columns.append(r.Column(task, split, column, title, shared, asked))
    evaluation = graph.config.evaluation
    # One family: where there is a table of the declared comparisons, it is in no other; the
    # figure of steps shows the declared methods and tests nothing.
    declared = kind in ("claims", "step-errors") or not checked.cells(graph)
    return r.TableSpec(
        kind=kind,
        name=name,
        scale=graph.config.scale,
        columns=tuple(columns),
        labels={name: method.label for name, method in graph.config.methods.items()},
        mixes={name: method.kind for name, method in graph.config.methods.items()},
        baseline=tuning.references(graph),
        primary=tuple(
            name
            for name in primary.methods or graph.config.methods
            if declared and name not in evaluation.baselines
        ),
        confidence=evaluation.confidence,
        cells=tuple(cells),
        own=own,
    )


def _lead_1(graph: Graph) -> list[r.Cell]:
    """The first-sentence row of the tasks that summarise."""
    return [
        r.Cell(task, NO_MODEL, LEAD_1, "direct", (t.seeds or graph.config.seeds)[0])
        for task, t in graph.config.tasks.items()
        if DATASETS[t.dataset].lead_1
    ]


def _trained(graph: Graph) -> dict[str, Trained]:
    methods = graph.config.methods.items()
    return {name: method for name, method in methods if isinstance(method, Trained)}


def _stages(graph: Graph) -> Stages:
    trained = _trained(graph)
    return Stages(
        parents={name: method.parent for name, method in trained.items()},
        pairs=tuple(name for name, m in trained.items() if m.loss == "pairs"),
        methods=_methods(graph),
    )


def _methods(graph: Graph) -> dict[str, str]:
    """The method of each checkpoint that is a result, or a round on the way to one."""
    return {
        name: checkpoint.declared
        for name, checkpoint in graph.checkpoints.items()
        if checkpoint.rate is None
    }


def _exposure(graph: Graph) -> Exposure:
    oracle = exposure.oracle(graph)
    label = graph.config.methods[oracle.method].label
    name = label + (f" ({oracle.model})" if oracle.model else "")
    name += "" if oracle.seed is None else f", seed {oracle.seed}"
    return Exposure(name, tuple(oracle.lengths))


def _online(graph: Graph) -> Online | None:
    """Methods that draw while they train, those that draw the same before, and what they are
    compared with."""
    trained = _trained(graph)
    online = {n: m for n, m in trained.items() if m.loss == "online"}
    stages = {(method.parent, method.stage) for method in online.values()}
    offline = (
        name
        for name, method in trained.items()
        if method.mixes_context and (method.parent, method.stage) in stages
    )
    shown = dict.fromkeys([*graph.config.evaluation.baselines, *offline, *online])
    return Online(tuple(shown)) if online else None


def _preference(graph: Graph) -> Preference | None:
    """Methods with a preference stage after them, and that stage."""
    methods = graph.config.methods
    pairs = {
        name: method.parent
        for name, method in methods.items()
        if isinstance(method, Trained)
        and method.loss == "pairs"
        and isinstance(methods[method.parent], Trained)
    }
    return (
        Preference(pairs, {name: methods[name].mix for name in pairs})
        if pairs
        else None
    )
