"""From `evaluation.measure` to whose exposure bias is measured, and how."""

from __future__ import annotations

from selfgen.config import Measured
from selfgen.graph import exposure, paths
from selfgen.graph.steps import Graph
from selfgen.measures.spec import MeasureSpec, MeasureStep, PageSpec
from selfgen.report.spec import Cell


def cells(graph: Graph) -> list[Cell]:
    """Every method that is asked for by its direct answers, but an oracle, which is not held
    against itself."""
    if graph.config.evaluation.measure is None:
        return []
    asked = graph.config.evaluation.measure.methods or list(graph.config.methods)
    found = [
        cell
        for cell in graph.cells()
        if cell.decoding == "direct" and cell.method in asked
    ]
    if graph.config.evaluation.oracle is None:
        return found
    held = {(c.task, c.model, c.method, c.seed) for c in exposure.cells(graph)}
    return [c for c in found if (c.task, c.model, c.method, c.seed) in held]


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
            "oracle": config.evaluation.oracle.method
            if config.evaluation.oracle
            else "none",
            "prompts": f"{min(asked.prompts, _held_out(graph, task))}, those of the lowest"
            " hash of id",
            "planted": f"{asked.planted} tokens",
            "scale": config.scale,
        },
        confidence=config.evaluation.confidence,
    )


def _held_out(graph: Graph, task: str) -> int:
    return graph.records(task).rows[graph.record_splits(task)[0]]


def _asked(graph: Graph) -> Measured:
    """Raises ValueError where the configuration asks for none: nothing asks then."""
    if graph.config.evaluation.measure is None:
        raise ValueError("evaluation.measure: found none")
    return graph.config.evaluation.measure


def spec(graph: Graph, task: str, seed: int) -> MeasureStep:
    """Of the first of the splits that answers are read on."""
    asked = _asked(graph)
    dataset = graph.config.tasks[task].dataset
    return MeasureStep(
        MeasureSpec(
            graph.prompt(task),
            seed,
            asked.planted,
            dataset=dataset,
        ),
        graph.record_splits(task)[0],
        asked.prompts,
        graph.config.evaluation.oracle is not None,
        graph.device(),
    )
