"""From the configuration of the oracle to whose exposure bias is measured, and how."""

from __future__ import annotations

from selfgen.config import Oracle
from selfgen.core.spec import Sampling
from selfgen.evaluation.oracle_spec import ExposureSpec
from selfgen.graph.steps import Graph
from selfgen.report.spec import Cell


def oracle(graph: Graph) -> Oracle:
    """Raises ValueError where the configuration has none: nothing asks then."""
    if graph.config.evaluation.oracle is None:
        raise ValueError("evaluation.oracle: found none")
    return graph.config.evaluation.oracle


def cells(graph: Graph) -> list[Cell]:
    """Whose step errors are measured: every model but the oracle."""
    if graph.config.evaluation.oracle is None:
        return []
    own = oracle(graph)
    return [
        cell
        for cell in graph.cells()
        if own.method in graph.methods(cell.task)
        and cell.decoding == "direct"
        and (cell.method, cell.model, cell.seed)
        != (own.method, own.model or cell.model, _seed(own, cell.seed))
    ]


def weights(graph: Graph, task: str, model: str, seed: int) -> str:
    """Folder of the oracle's weights."""
    own = oracle(graph)
    return graph.weights(task, own.model or model, own.method, _seed(own, seed))


def _seed(own: Oracle, seed: int) -> int:
    return seed if own.seed is None else own.seed


def spec(graph: Graph, task: str, seed: int) -> ExposureSpec:
    own = oracle(graph)
    return ExposureSpec(
        split=graph.record_splits(task)[0],
        prompts=own.prompts,
        prompt=graph.prompt(task),
        sampling=Sampling(own.temperature),
        length=max(own.lengths),
        seed=seed,
        device=graph.device(),
    )
