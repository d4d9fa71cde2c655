"""From the configuration of synthetic experiments to the specs of their steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from selfgen.config.synthetic import Experiment, Synthetic
from selfgen.graph import paths, twins
from selfgen.graph.steps import Graph
from selfgen.methods.base import Trained
from selfgen.report.synthetic.render import figure_names, table_names
from selfgen.report.synthetic.spec import AblationSpec, CollectSpec, ExperimentSpec
from selfgen.synthetic.spec import StopSpec, SyntheticSpec, VariantSpec


def spec(config: Synthetic, experiment: str, seed: int) -> SyntheticSpec:
    """Everything that a synthetic experiment reads."""
    section, graph = config.experiments[experiment], Graph(config.of(experiment))
    checkpoints = {
        checkpoint: _variant(graph, section, experiment, checkpoint, seed)
        for checkpoint, one in graph.checkpoints.items()
        if one.parent is not None
    }
    return SyntheticSpec(
        experiment,
        seed,
        replace(graph.model(experiment), seed=seed),
        graph.records(experiment),
        graph.prompt(experiment),
        tuple(_in_order(checkpoints)),
    )


def _in_order(checkpoints: dict[str, VariantSpec]) -> Iterator[VariantSpec]:
    """Each after those it depends on, else in the order of the configuration."""
    needs = {
        name: [other for other in (n.parent, n.generator, n.match_wall_time) if other]
        for name, n in checkpoints.items()
    }
    while needs:
        name = next(n for n, others in needs.items() if not needs.keys() & set(others))
        del needs[name]
        yield checkpoints[name]


def _variant(
    graph: Graph, experiment: Experiment, task: str, name: str, seed: int
) -> VariantSpec:
    checkpoint, passed = graph.checkpoints[name], graph.passed(task, name)
    stop, curves = experiment.stop, experiment.curves
    return VariantSpec(
        name=name,
        declared=checkpoint.declared,
        parent=_trained_one(graph, checkpoint.parent),
        rows=graph.rows(task, name, seed),
        train=graph.train(task, name, seed),
        generator=_trained_one(graph, passed.generator) if passed else None,
        passed=replace(passed.spec, seed=seed) if passed else None,
        match_wall_time=graph.trained_method(name).takes_time_of(),
        stop=StopSpec(stop.exact, stop.every) if stop and stop.method == name else None,
        curve_every=curves.every if curves and name in curves.methods else 0,
        decodings=tuple(checkpoint.method.decodings)
        if name == checkpoint.declared
        else (),
    )


def _trained_one(graph: Graph, checkpoint: str | None) -> str | None:
    """A checkpoint; None where it is the base, which no variant is."""
    return checkpoint if checkpoint and graph.checkpoints[checkpoint].parent else None


def collect(config: Synthetic) -> CollectSpec:
    """All runs, in the order in which their files are read."""
    return CollectSpec(tuple((r, s) for r in config.experiments for s in config.seeds))


def runs(config: Synthetic) -> dict[str, list[str]]:
    """The files of all runs by name, in the order of ``collect``."""
    addresses = [
        {"experiment": r, "seed": s} for r in config.experiments for s in config.seeds
    ]
    kinds = ("scores", "positions", "curves")
    return {
        kind: [paths.fill(paths.SYNTHETIC, kind=kind, **run) for run in addresses]
        for kind in kinds
    } | {"manifests": [paths.fill(paths.SYNTHETIC_RUN, **run) for run in addresses]}


def collected(config: Synthetic) -> dict[str, str]:
    """What the tables and figures are drawn from."""
    return paths.SYNTHETIC_COLLECTED


def tables(config: Synthetic) -> AblationSpec:
    """What the renderings of synthetic experiments need beyond the collected numbers."""
    evaluation = config.evaluation
    return AblationSpec(
        config.scale,
        tuple(
            _experiment(name, experiment)
            for name, experiment in config.experiments.items()
        ),
        tuple(config.seeds),
        evaluation.confidence,
    )


def results(config: Synthetic) -> dict[str, list[str]]:
    """What a run is for."""
    drawn = tables(config)
    return {
        "tables": [f"{paths.TABLES}/{name}" for name in table_names(drawn)],
        "figures": [f"{paths.FIGURES}/{name}" for name in figure_names(drawn)],
        "kept": [paths.MANIFESTS],
    }


def _experiment(name: str, experiment: Experiment) -> ExperimentSpec:
    trained = _trained(experiment)
    baseline = trained[experiment.baseline]
    # At 1 nothing of the reference is read, which is another method.
    betas = {
        method: one.only_beta
        for method, one in trained.items()
        if one.stage == baseline.stage and one.only_beta not in (None, 1)
    }
    # Where a method has several controls, figures show the first.
    controls = {
        other: method
        for method, one in reversed(trained.items())
        if (other := one.reads_pass_of()) in betas
    }
    curves = tuple(experiment.curves.methods) if experiment.curves else ()
    compared = tuple(
        method
        for method, one in trained.items()
        if method != experiment.baseline
        and method not in curves
        and one.parent == baseline.parent
    )
    return ExperimentSpec(
        name=name,
        label=experiment.label,
        baseline=experiment.baseline,
        methods=tuple(experiment.methods),
        labels={n: m.label for n, m in experiment.methods.items()},
        mixes={n: m.kind for n, m in experiment.methods.items()},
        betas=betas,
        controls=controls,
        compared=compared,
        pairs=tuple(twins.pairs(trained, experiment.baseline)),
        curves=curves,
        primary=tuple(
            method
            for method in experiment.primary.methods or experiment.methods
            if method != experiment.baseline
        ),
        measure=experiment.primary.measure,
    )


def _trained(experiment: Experiment) -> dict[str, Trained]:
    methods = experiment.methods.items()
    return {name: method for name, method in methods if isinstance(method, Trained)}
