"""From the configuration of controlled runs to the spec of each: a regime under a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from selfgen.config.controlled import Controlled, Regime
from selfgen.controlled.spec import ControlledSpec, NodeSpec, StopSpec
from selfgen.nodes import Graph


def spec(config: Controlled, name: str, seed: int) -> ControlledSpec:
    """Everything that a controlled run reads."""
    regime, graph = config.regimes[name], Graph(config.of(name))
    nodes = {
        node: _node(graph, regime, name, node, seed)
        for node, found in graph.nodes.items()
        if found.parent is not None
    }
    return ControlledSpec(
        name,
        seed,
        replace(graph.model(name), seed=seed),
        graph.records(name),
        graph.prompt(name),
        tuple(_in_order(nodes)),
    )


def _in_order(nodes: dict[str, NodeSpec]) -> Iterator[NodeSpec]:
    """Each after those it depends on, else in the order of the configuration."""
    needs = {
        name: [other for other in (n.parent, n.generator, n.wall_of) if other]
        for name, n in nodes.items()
    }
    while needs:
        name = next(n for n, others in needs.items() if not needs.keys() & set(others))
        del needs[name]
        yield nodes[name]


def _node(graph: Graph, regime: Regime, task: str, name: str, seed: int) -> NodeSpec:
    node, passed = graph.nodes[name], graph.passed(name)
    parent = node.parent
    untrained = parent is not None and graph.nodes[parent].parent is None
    stop, curves = regime.stop, regime.curves
    return NodeSpec(
        name=name,
        declared=node.declared,
        parent=None if untrained else parent,
        rows=graph.rows(task, name, seed),
        train=graph.train(task, name, seed),
        generator=passed and passed.generator,
        passed=passed and graph.generation(task, passed.generator, passed.name, seed),
        wall_of=getattr(node.method, "wall_of", None),
        stop=StopSpec(stop.exact, stop.every) if stop and stop.method == name else None,
        curve_every=curves.every if curves and name in curves.methods else 0,
        decodings=tuple(node.method.decodings) if name == node.declared else (),
    )
