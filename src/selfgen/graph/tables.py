"""The tables and figures of a configuration: which there are, and what each reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfgen.config import methods as m
from selfgen.data.records import DATASETS
from selfgen.graph import benchmarks, dialogues, judging, verify
from selfgen.graph.steps import Graph
from selfgen.report import spec as r
from selfgen.report.figures import FIGURES
from selfgen.report.registry import Rendering, all_tables
from selfgen.report.tables.exposure import Exposure
from selfgen.report.tables.preference import Preference
from selfgen.report.tables.verify import KnownNumbers

COLLECTED = {
    "scores": "results/collected/scores.parquet",
    "runs": "results/collected/runs.csv",
    "timings": "results/collected/timings.csv",
    "curves": "results/collected/curves.csv",
}
"""What is collected of all cells."""


@dataclass(frozen=True)
class Entry:
    """A table or figure of a configuration: what is particular to it.

    ``kind``: its name in the registry, where that is another. ``files``: of each cell, in
    order, where it reads others than those of ``COLLECTED``.
    """

    name: str
    kind: str = ""
    cells: Sequence[r.Cell] = ()
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    own: Any = None


def entries(graph: Graph) -> Iterator[Entry]:
    """All tables of a configuration but ``verify``, which reads others."""
    yield from map(Entry, ("main", "details", "cost"))
    if any(cell.decoding == "corrected" for cell in graph.cells()):
        yield Entry("corrections")
    if own := _preference(graph):
        yield Entry("preference", own=own)
    if cells := graph.exposed():
        files = [
            f"results/exposure/{c.task}/{c.model}/{c.method}/seed{c.seed}.parquet"
            for c in cells
        ]
        yield Entry("exposure", "", cells, {"errors": files}, _exposure(graph))
    if cells := dialogues.cells(graph):
        files = [dialogues.path(cell) for cell in cells]
        yield Entry("held-out-loss", "", cells, {"losses": files})
    for name in judging.names(graph):
        cells, own = judging.cells(graph, name), judging.words(graph, name)
        files = [
            f"results/verdicts/{name}/{c.task}/{c.model}/{c.method}/{c.decoding}"
            f"/seed{c.seed}.parquet"
            for c in cells
        ]
        yield Entry(f"win-rates-{name}", "win-rates", cells, {"verdicts": files}, own)
    for name in benchmarks.names(graph):
        cells, own = benchmarks.cells(graph, name), benchmarks.judge(graph, name)
        files = [
            f"results/benchmarks/{name}/{c.task}/{c.model}/{c.method}/seed{c.seed}"
            "/grades.parquet"
            for c in cells
        ]
        yield Entry(name, "" if own else "few-shot", cells, {"grades": files}, own)


@dataclass(frozen=True)
class Job:
    """What draws a table or figure: its spec, its inputs by name, the module of its code,
    and what a reader of the report page should know."""

    spec: r.TableSpec[Any]
    inputs: dict[str, list[str]]
    module: str
    about: str


def tables(graph: Graph) -> dict[str, Job]:
    """All tables of a configuration by name."""
    found = [*entries(graph)]
    if known := verify.known_numbers(graph):
        wanted = {number.number.table for number in known}
        read = tuple(entry.name for entry in found if entry.name in wanted)
        manifests = {
            path: None
            for number in known
            if number.number.table in read
            for path in number.manifests
        }
        files = {
            "tables": [f"results/tables/{name}.csv" for name in read],
            "manifests": list(manifests),
        }
        own = KnownNumbers(known, read, verify.judges(graph))
        found.append(Entry("verify", files=files, own=own))
    return {entry.name: _job(graph, entry, all_tables()) for entry in found}


def figures(graph: Graph) -> dict[str, Job]:
    """All figures of a configuration by name."""
    return {name: _job(graph, Entry(name), FIGURES) for name in FIGURES}


def samples(graph: Graph) -> r.TableSpec[None]:
    """The cells whose answers stand side by side, in order."""
    return _spec(graph, Entry("samples", cells=graph.cells()))


def _job(graph: Graph, entry: Entry, known: Mapping[str, Rendering[Any]]) -> Job:
    drawn = known[entry.kind or entry.name]
    inputs = {
        name: list(entry.files[name] if name in entry.files else [COLLECTED[name]])
        for name in drawn.reads
    }
    return Job(_spec(graph, entry), inputs, drawn.draw.__module__, drawn.about)


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


def _spec(graph: Graph, entry: Entry) -> r.TableSpec[Any]:
    columns = []
    for task, t in graph.config.tasks.items():
        metric = graph.metric(task)
        for split in graph.record_splits(task):
            shared = split in DATASETS[t.dataset].shared_templates
            title = task if split == "test" else f"{task}, {split.replace('_', ' ')}"
            columns.append(r.Column(task, split, metric, title, shared))
    evaluation = graph.config.evaluation
    return r.TableSpec(
        kind=entry.kind or entry.name,
        name=entry.name,
        scale=graph.config.scale,
        columns=tuple(columns),
        labels={name: method.label for name, method in graph.config.methods.items()},
        baseline=evaluation.baseline,
        bootstrap_samples=evaluation.bootstrap_samples,
        confidence=evaluation.confidence,
        seed=graph.config.seeds[0],
        cells=tuple(entry.cells),
        own=entry.own,
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
