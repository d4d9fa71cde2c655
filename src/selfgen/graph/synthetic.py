"""From the configuration of controlled runs to the spec of each: a regime under a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from selfgen.config.synthetic import Controlled, Regime
from selfgen.graph import paths
from selfgen.graph.steps import Graph
from selfgen.methods.base import Trained
from selfgen.report.synthetic.render import figure_names, table_names
from selfgen.report.synthetic.spec import AblationSpec, CollectSpec, RegimeSpec
from selfgen.synthetic.spec import ControlledSpec, NodeSpec, StopSpec


def spec(config: Controlled, regime: str, seed: int) -> ControlledSpec:
    """Everything that a controlled run reads."""
    found, graph = config.regimes[regime], Graph(config.of(regime))
    checkpoints = {
        checkpoint: _node(graph, found, regime, checkpoint, seed)
        for checkpoint, one in graph.checkpoints.items()
        if one.parent is not None
    }
    return ControlledSpec(
        regime,
        seed,
        replace(graph.model(regime), seed=seed),
        graph.records(regime),
        graph.prompt(regime),
        tuple(_in_order(checkpoints)),
    )


def _in_order(checkpoints: dict[str, NodeSpec]) -> Iterator[NodeSpec]:
    """Each after those it depends on, else in the order of the configuration."""
    needs = {
        name: [other for other in (n.parent, n.generator, n.match_wall_time) if other]
        for name, n in checkpoints.items()
    }
    while needs:
        name = next(n for n, others in needs.items() if not needs.keys() & set(others))
        del needs[name]
        yield checkpoints[name]


def _node(graph: Graph, regime: Regime, task: str, name: str, seed: int) -> NodeSpec:
    checkpoint, passed = graph.checkpoints[name], graph.passed(task, name)
    parent = checkpoint.parent
    untrained = parent is not None and graph.checkpoints[parent].parent is None
    stop, curves = regime.stop, regime.curves
    return NodeSpec(
        name=name,
        declared=checkpoint.declared,
        parent=None if untrained else parent,
        rows=graph.rows(task, name, seed),
        train=graph.train(task, name, seed),
        generator=passed and passed.generator,
        passed=passed and replace(passed.spec, seed=seed),
        match_wall_time=graph.trained_method(name).takes_time_of(),
        stop=StopSpec(stop.exact, stop.every) if stop and stop.method == name else None,
        curve_every=curves.every if curves and name in curves.methods else 0,
        decodings=tuple(checkpoint.method.decodings)
        if name == checkpoint.declared
        else (),
    )


def collect(config: Controlled) -> CollectSpec:
    """All runs, in the order in which their files are read."""
    return CollectSpec(tuple((r, s) for r in config.regimes for s in config.seeds))


def runs(config: Controlled) -> dict[str, list[str]]:
    """The files of all runs by name, in the order of ``collect``."""
    found = [{"regime": r, "seed": s} for r in config.regimes for s in config.seeds]
    kinds = ("scores", "positions", "curves")
    return {
        kind: [paths.fill(paths.SYNTHETIC, kind=kind, **run) for run in found]
        for kind in kinds
    } | {"manifests": [paths.fill(paths.SYNTHETIC_RUN, **run) for run in found]}


def collected(config: Controlled) -> dict[str, str]:
    """What the tables and figures are drawn from."""
    return paths.SYNTHETIC_COLLECTED


def tables(config: Controlled) -> AblationSpec:
    """What the renderings of controlled runs need beyond the collected numbers."""
    evaluation = config.evaluation
    return AblationSpec(
        config.scale,
        tuple(_regime(name, regime) for name, regime in config.regimes.items()),
        tuple(config.seeds),
        evaluation.bootstrap_samples,
        evaluation.confidence,
        config.seeds[0],
    )


def results(config: Controlled) -> dict[str, list[str]]:
    """What a run is for."""
    drawn = tables(config)
    return {
        "tables": [f"{paths.TABLES}/{name}" for name in table_names(drawn)],
        "figures": [f"{paths.FIGURES}/{name}" for name in figure_names(drawn)],
        "kept": [paths.MANIFESTS],
    }


def _regime(name: str, regime: Regime) -> RegimeSpec:
    trained = _trained(regime)
    baseline = trained[regime.baseline]
    betas = {
        method: found.only_beta
        for method, found in trained.items()
        if found.stage == baseline.stage and found.only_beta is not None
    }
    controls = {
        other: method
        for method, found in trained.items()
        if (other := found.reads_pass_of()) in betas
    }
    curves = tuple(regime.curves.methods) if regime.curves else ()
    compared = tuple(
        method
        for method, found in trained.items()
        if method != regime.baseline
        and method not in curves
        and found.parent == baseline.parent
    )
    return RegimeSpec(
        name=name,
        label=regime.label,
        baseline=regime.baseline,
        methods=tuple(regime.methods),
        labels={n: m.label for n, m in regime.methods.items()},
        betas=betas,
        controls=controls,
        compared=compared,
        pairs=tuple(_pairs(regime)),
        curves=curves,
    )


def _trained(regime: Regime) -> dict[str, Trained]:
    methods = regime.methods.items()
    return {name: found for name, found in methods if isinstance(found, Trained)}


def _pairs(regime: Regime) -> Iterator[tuple[str, str]]:
    """BASH against its random-token control, and against plain SFT of the same stage and
    rounds, where that is not the baseline."""
    trained = _trained(regime)
    for name, method in trained.items():
        if other := method.reads_pass_of():
            yield other, name
    for name, method in trained.items():
        for other, plain in trained.items():
            if (
                method.mixes_context
                and plain.plain
                and other != regime.baseline
                and all(
                    getattr(method, f) == getattr(plain, f)
                    for f in ("parent", "stage", "rows", "parts")
                )
            ):
                yield name, other
