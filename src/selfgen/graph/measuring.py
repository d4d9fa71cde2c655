"""From `evaluation.measure` to whose exposure bias is measured, and how."""

from __future__ import annotations

from selfgen.config import Measured
from selfgen.graph import exposure, paths
from selfgen.graph.steps import Graph
from selfgen.measures.spec import (
    LENGTHS,
    MeasureSpec,
    MeasureStep,
    PageSpec,
    steps_in_words,
)
from selfgen.report.spec import Cell

Address = tuple[str, str, str, int]
"""Task, model, method and seed."""


def cells(graph: Graph) -> list[Cell]:
    """Every method that is asked for by its direct answers. The oracle's own is measured
    without one. Where other seeds of it are held against the oracle's seed, that one is left
    out, so that all seeds of a method are read alike."""
    if graph.config.evaluation.measure is None:
        return []
    asked = graph.config.evaluation.measure.methods or list(graph.config.methods)
    held = _held(graph)
    methods = {address[:3] for address in held}
    return [
        cell
        for cell in graph.cells()
        if cell.decoding == "direct"
        and cell.method in asked
        and (_address(cell) in held or _address(cell)[:3] not in methods)
    ]


def has_oracle(graph: Graph, task: str, model: str, checkpoint: str, seed: int) -> bool:
    """Whether a checkpoint is held against the oracle."""
    return (task, model, checkpoint, seed) in _held(graph)


def _held(graph: Graph) -> set[Address]:
    return {_address(cell) for cell in exposure.cells(graph)}


def _address(cell: Cell) -> Address:
    return cell.task, cell.model, cell.method, cell.seed


def files(graph: Graph) -> list[str]:
    """What was read of each cell."""
    return [paths.of_cell(paths.MEASURED, cell) for cell in cells(graph)]


def compared(graph: Graph, task: str, model: str) -> list[Cell]:
    """The cells of a page: the first method that was named, or that a claim is about, before
    the others."""
    own = [cell for cell in cells(graph) if (cell.task, cell.model) == (task, model)]
    order = list(dict.fromkeys(cell.method for cell in own))
    evaluation = graph.config.evaluation
    named = _asked(graph).methods or evaluation.primary.methods or order
    first = next((name for name in named if name in order), None)
    return sorted(own, key=lambda cell: cell.method != first)


def lengths(graph: Graph) -> tuple[int, ...]:
    """Up to one of which steps errors against the oracle are summed."""
    oracle = graph.config.evaluation.oracle
    return LENGTHS if oracle is None else tuple(oracle.lengths)


def pages(graph: Graph) -> list[str]:
    """The page of each task and base model."""
    return [
        paths.fill(paths.MEASURES["html"], task=task, model=model)
        for task, model in dict.fromkeys((c.task, c.model) for c in cells(graph))
    ]


def page(graph: Graph, task: str, model: str) -> PageSpec:
    """Of a task and a base model."""
    asked, cells = _asked(graph), compared(graph, task, model)
    config = graph.config
    return PageSpec(
        methods=tuple(config.methods[cell.method].label for cell in cells),
        seeds=tuple(cell.seed for cell in cells),
        dataset=config.tasks[task].dataset,
        about={
            "model": model,
            "oracle": _oracle(graph, cells),
            "prompts": f"{min(asked.prompts, _held_out(graph, task))}, those of the lowest"
            " hash of id",
            "planted": f"{asked.planted} tokens",
            "length": steps_in_words(lengths(graph)),
            "scale": config.scale,
        },
        confidence=config.evaluation.confidence,
        lengths=lengths(graph),
    )


def _oracle(graph: Graph, cells: list[Cell]) -> str:
    """In words, where some cells were read."""
    oracle = graph.config.evaluation.oracle
    held = _held(graph)
    own = [cell for cell in cells if _address(cell) in held]
    if oracle is None or not own:
        return "none"
    seed = "" if oracle.seed is None else f", seed {oracle.seed}"
    alone = "" if len(own) == len(cells) else ", which is itself measured without one"
    return f"{oracle.method}{seed}{alone}"


def _held_out(graph: Graph, task: str) -> int:
    return graph.records(task).rows[graph.record_splits(task)[0]]


def _asked(graph: Graph) -> Measured:
    """Raises ValueError where the configuration asks for none: nothing asks then."""
    if graph.config.evaluation.measure is None:
        raise ValueError("evaluation.measure: found none")
    return graph.config.evaluation.measure


def spec(
    graph: Graph, task: str, model: str, checkpoint: str, seed: int
) -> MeasureStep:
    """Of the first of the splits that answers are read on."""
    asked = _asked(graph)
    dataset = graph.config.tasks[task].dataset
    return MeasureStep(
        MeasureSpec(
            graph.prompt(task),
            seed,
            asked.planted,
            dataset,
            max(lengths(graph)),
        ),
        graph.record_splits(task)[0],
        asked.prompts,
        has_oracle(graph, task, model, checkpoint, seed),
        graph.device(),
    )
