"""The tables and figures of a configuration: which there are, and what each reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selfgen.config import methods as m
from selfgen.data.records import DATASETS
from selfgen.graph import benchmarks, dialogues, judging, verify
from selfgen.graph.steps import Graph
from selfgen.report import spec as r
from selfgen.report.tables.exposure import Exposure
from selfgen.report.tables.preference import Preference
from selfgen.report.tables.verify import KnownNumbers


@dataclass(frozen=True)
class Rendering:
    """A table or figure of a configuration: its spec, its inputs by name, and what a reader
    of the report page should know of it."""

    spec: r.TableSpec[Any]
    inputs: dict[str, list[str]]
    about: str


@dataclass(frozen=True)
class Entry:
    """What is particular to a table. ``inputs``: names of collected files, or files by name;
    ``kind``: its module, where that has another name."""

    name: str
    inputs: Sequence[str] | dict[str, list[str]]
    about: str
    cells: Sequence[r.Cell] = ()
    own: Any = None
    kind: str = ""


def _entries(graph: Graph) -> Iterator[Entry]:
    """All tables of a configuration but those that read other tables."""
    yield Entry(
        "main",
        ("scores", "runs"),
        "Score of every method on every task, with its interval, and the difference to"
        " continued SFT at equal steps and labelled tokens. It does not show why a method"
        " differs.",
    )
    yield Entry(
        "details",
        ("scores",),
        "All measures of every cell: overlap, accuracy, length, repetition, and how many"
        " answers ended by themselves.",
    )
    yield Entry(
        "cost",
        ("timings",),
        "Seconds, tokens per second and peak memory of each stage on the machine of this"
        " run.",
    )
    if any(cell.decoding == "corrected" for cell in graph.cells()):
        yield Entry("corrections", ("scores",), "What a second turn does to answers.")
    if own := _preference(graph):
        about = "What a preference stage after a method does to its scores."
        yield Entry("preference", ("scores",), about, own=own)
    if cells := graph.exposed():
        files = [
            f"results/exposure/{c.task}/{c.model}/{c.method}/seed{c.seed}.parquet"
            for c in cells
        ]
        about = "Accumulated errors of free-running steps against the oracle."
        yield Entry("exposure", {"errors": files}, about, cells, _exposure(graph))
    if cells := dialogues.cells(graph):
        files = [dialogues.path(cell) for cell in cells]
        about = "Loss of each model on held-out dialogues."
        yield Entry("held-out-loss", {"losses": files}, about, cells)
    for name in judging.names(graph):
        cells = judging.cells(graph, name)
        files = [
            f"results/verdicts/{name}/{c.task}/{c.model}/{c.method}/{c.decoding}"
            f"/seed{c.seed}.parquet"
            for c in cells
        ]
        yield Entry(
            f"win-rates-{name}",
            {"verdicts": files},
            "How often a judge, or a proxy of one, prefers a method's answers.",
            cells,
            judging.words(graph, name),
            "win-rates",
        )
    for name in benchmarks.names(graph):
        cells = benchmarks.cells(graph, name)
        files = [
            f"results/benchmarks/{name}/{c.task}/{c.model}/{c.method}/seed{c.seed}"
            "/grades.parquet"
            for c in cells
        ]
        about = "Answers to the prompts of a benchmark, graded."
        own = benchmarks.judge(graph, name)
        kind = "" if own else "few-shot"
        yield Entry(name, {"grades": files}, about, cells, own, kind)


def tables(graph: Graph) -> dict[str, Rendering]:
    """All tables of a configuration by name, in the order of the report."""
    common = _common(graph)
    found = {entry.name: _rendering(common, entry) for entry in _entries(graph)}
    known = verify.known_numbers(graph)
    if known:
        read = [name for name in found if name in {number.table for number in known}]
        manifests = {p: None for k in known if k.table in read for p in k.manifests}
        entry = Entry(
            "verify",
            {
                "tables": [f"results/tables/{name}.csv" for name in read],
                "manifests": list(manifests),
            },
            "Results beside numbers that others measured.",
            own=KnownNumbers(known, tuple(read), verify.judges(graph)),
        )
        found["verify"] = _rendering(common, entry)
    return found


def figures(graph: Graph) -> dict[str, Rendering]:
    """All figures of a configuration by name."""
    common = _common(graph)
    main, *_ = _entries(graph)
    curves = Entry(
        "curves",
        ("curves",),
        "Training loss per labelled token. Losses of methods are not comparable: their"
        " contexts differ.",
    )
    return {entry.name: _rendering(common, entry) for entry in (main, curves)}


def samples(graph: Graph) -> r.TableSpec[None]:
    """The cells whose answers stand side by side, in order."""
    entry = Entry("samples", (), "", graph.cells())
    return _rendering(_common(graph), entry).spec


COLLECTED = {
    name: f"results/collected/{name}.{kind}"
    for name, kind in {
        "scores": "parquet",
        "runs": "csv",
        "timings": "csv",
        "curves": "csv",
    }.items()
}
"""Files that are collected of all cells."""


def _rendering(common: r.TableSpec[Any], entry: Entry) -> Rendering:
    spec = replace(
        common,
        kind=entry.kind or entry.name,
        name=entry.name,
        cells=tuple(entry.cells),
        own=entry.own,
    )
    inputs = entry.inputs
    if not isinstance(inputs, dict):
        inputs = {name: [COLLECTED[name]] for name in inputs}
    return Rendering(spec, inputs, entry.about)


def collect(graph: Graph) -> r.CollectSpec:
    chained: dict[str, tuple[str, ...]] = {}
    passes: dict[str, tuple[str, ...]] = {}
    for name, node in graph.nodes.items():
        found = graph.passed(name)
        address = (f"{found.generator}/{found.name}",) if found else ()
        chained[node.declared] = (*chained.get(node.declared, ()), name)
        passes[node.declared] = (*passes.get(node.declared, ()), *address)
    return r.CollectSpec(
        cells=(*graph.lead_1(), *graph.cells()),
        parents={
            name: getattr(method, "parent", None)
            for name, method in graph.config.methods.items()
        },
        nodes=chained,
        passes=passes,
    )


def _common(graph: Graph) -> r.TableSpec[Any]:
    """What the specs of all tables and figures have in common."""
    columns = []
    for task, t in graph.config.tasks.items():
        metric = graph.metric(task)
        for split in graph.record_splits(task):
            shared = split in DATASETS[t.dataset].shared_templates
            title = task if split == "test" else f"{task}, {split.replace('_', ' ')}"
            columns.append(r.Column(task, split, metric, title, shared))
    evaluation = graph.config.evaluation
    return r.TableSpec(
        kind="",
        name="",
        scale=graph.config.scale,
        columns=tuple(columns),
        labels={name: method.label for name, method in graph.config.methods.items()},
        baseline=evaluation.baseline,
        bootstrap_samples=evaluation.bootstrap_samples,
        confidence=evaluation.confidence,
        seed=graph.config.seeds[0],
    )


def _exposure(graph: Graph) -> Exposure:
    oracle = graph.config.evaluation.oracle
    label = graph.config.methods[oracle.method].label
    name = label + (f" ({oracle.model})" if oracle.model else "")
    return Exposure(name, tuple(oracle.lengths))


def _preference(graph: Graph) -> Preference | None:
    """Methods with a preference stage after them, and that stage."""
    methods = graph.config.methods
    pairs = {
        name: method.parent
        for name, method in methods.items()
        if isinstance(method, m.PREFERENCES)
        and isinstance(methods[method.parent], m.Trained)
    }
    return (
        Preference(pairs, {name: methods[name].mix for name in pairs})
        if pairs
        else None
    )
