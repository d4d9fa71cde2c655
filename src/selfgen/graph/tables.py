"""From the graph to what each rendering reads."""

from __future__ import annotations

from selfgen.config import methods as m
from selfgen.graph.steps import Graph
from selfgen.report import spec as r
from selfgen.tasks import DATASETS


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


def exposure_table(graph: Graph) -> r.ExposureTableSpec:
    evaluation, labels = graph.config.evaluation, tables(graph).labels
    oracle = evaluation.oracle
    name = labels[oracle.method] + (f" ({oracle.model})" if oracle.model else "")
    return r.ExposureTableSpec(
        cells=tuple(graph.exposed()),
        labels=labels,
        oracle=name,
        lengths=tuple(oracle.lengths),
        scale=graph.config.scale,
        bootstrap_samples=evaluation.bootstrap_samples,
        confidence=evaluation.confidence,
        seed=graph.config.seeds[0],
    )


def tables(graph: Graph) -> r.TablesSpec:
    columns = []
    for task, t in graph.config.tasks.items():
        column = graph.column(task)
        for split in graph.record_splits(task):
            shared = split in DATASETS[t.dataset].shared_templates
            title = task if split == "test" else f"{task}, {split.replace('_', ' ')}"
            columns.append(r.Column(task, split, column, title, shared))
    evaluation = graph.config.evaluation
    return r.TablesSpec(
        scale=graph.config.scale,
        columns=tuple(columns),
        labels={name: m.label for name, m in graph.config.methods.items()},
        baseline=evaluation.baseline,
        bootstrap_samples=evaluation.bootstrap_samples,
        confidence=evaluation.confidence,
        seed=graph.config.seeds[0],
    )


def preferred(graph: Graph) -> r.PreferredSpec:
    """Methods with a preference stage after them, and that stage."""
    methods = graph.config.methods
    pairs = {
        name: method.parent
        for name, method in methods.items()
        if isinstance(method, m.PREFERENCES)
        and isinstance(methods[method.parent], m.Trained)
    }
    kinds = {name: methods[name].mix for name in pairs}
    return r.PreferredSpec(tables(graph), pairs, kinds)


def samples(graph: Graph) -> r.SamplesSpec:
    return r.SamplesSpec(tuple(graph.cells()), tables(graph))
