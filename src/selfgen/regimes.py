"""From the configuration of controlled runs to the spec of each: a regime under a seed."""

from __future__ import annotations

from dataclasses import replace

from selfgen.config.controlled import Controlled, Regime
from selfgen.controlled.spec import ControlledSpec, NodeSpec, StopSpec
from selfgen.nodes import Graph


def spec(config: Controlled, name: str, seed: int) -> ControlledSpec:
    """Everything that a controlled run reads."""
    regime, graph = config.regimes[name], Graph(config.of(name))
    return ControlledSpec(
        name,
        seed,
        replace(graph.model(name), seed=seed),
        graph.records(name),
        graph.prompt(name),
        tuple(
            _node(graph, regime, name, node, seed)
            for node in graph.nodes
            if graph.nodes[node].parent is not None
        ),
    )


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
