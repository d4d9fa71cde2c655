"""From tasks whose data set has a checker to whose step errors are measured, and how."""

from __future__ import annotations

from selfgen.evaluation.steps_spec import StepsSpec
from selfgen.graph import paths
from selfgen.graph.steps import Graph
from selfgen.report.spec import Cell
from selfgen.tasks import DATASETS


def cells(graph: Graph) -> list[Cell]:
    """Direct answers of all methods on tasks with a checker."""
    return [
        cell
        for cell in graph.cells()
        if cell.decoding == "direct"
        and DATASETS[graph.config.tasks[cell.task].dataset].checker
    ]


def files(graph: Graph) -> list[str]:
    """The errors of each cell."""
    return [paths.of_cell(paths.STEPS, cell) for cell in cells(graph)]


def spec(graph: Graph, task: str) -> StepsSpec:
    """The first of the splits that answers are read on."""
    return StepsSpec(
        graph.config.tasks[task].dataset,
        graph.record_splits(task)[0],
        graph.prompt(task),
        graph.device(),
    )
