"""What validation decides: the learning rate of a method whose stage has a grid, and which of
several candidates is the baseline. Test records are never read for a choice.

The rates of a method are tried for each task and base model under the first seed, each by a
training from the parent's weights on the rows of the method itself; the chosen rate is that
of all seeds. The graph stays static: a training at a chosen rate reads the choice's file.
"""

from __future__ import annotations

from collections.abc import Iterator

from selfgen.evaluation.choice import Candidate, ChoiceSpec
from selfgen.graph import paths
from selfgen.graph.lineage import at_rate
from selfgen.graph.steps import Graph
from selfgen.report.spec import Cell, Reference
from selfgen.training.spec import TrainSpec
from selfgen.training.tuned_spec import TunedSpec

# Learning rates


def grid(graph: Graph, task: str, checkpoint: str) -> tuple[float, ...]:
    """The rates that a checkpoint's own is chosen from, the lowest first; none where the
    configuration says what it is."""
    found = graph.checkpoints[checkpoint]
    return graph.rates(task, found.method) if found.rate is None else ()


def tuned(graph: Graph) -> list[Cell]:
    """Every method whose rate is chosen, by task and base model, under the seed by which it
    is."""
    return [
        Cell(task, model, name, paths.VALIDATION, graph.seeds(task, name)[0])
        for task in graph.config.tasks
        for model in graph.models(task)
        for name in graph.methods(task)
        if grid(graph, task, name)
    ]


def points(graph: Graph) -> list[Cell]:
    """Every training that tells how good a rate is."""
    return [
        Cell(cell.task, cell.model, point, cell.decoding, cell.seed)
        for cell in tuned(graph)
        for point in _points(graph, cell.task, cell.method)
    ]


def _points(graph: Graph, task: str, checkpoint: str) -> list[str]:
    return [at_rate(checkpoint, rate) for rate in grid(graph, task, checkpoint)]


def step(graph: Graph, task: str, checkpoint: str) -> str:
    """The step that trains a checkpoint."""
    return "finetune_tuned" if grid(graph, task, checkpoint) else "finetune"


def train(graph: Graph, task: str, checkpoint: str, seed: int) -> TrainSpec | TunedSpec:
    """How a checkpoint is trained."""
    spec, rates = graph.train(task, checkpoint, seed), grid(graph, task, checkpoint)
    return TunedSpec(train=spec, rates=rates) if rates else spec


def rate_files(graph: Graph) -> list[str]:
    """Where the choices of rates stand, in the order of ``tuned``."""
    return [paths.of_cell(paths.RATE, cell) for cell in tuned(graph)]


def rate_file(graph: Graph, task: str, model: str, checkpoint: str) -> str | None:
    """Where it stands at which rate a checkpoint is trained, if that is chosen."""
    if not grid(graph, task, checkpoint):
        return None
    return paths.fill(paths.RATE, task=task, model=model, checkpoint=checkpoint)


def rate(graph: Graph, task: str, checkpoint: str) -> ChoiceSpec:
    rates = map(repr, grid(graph, task, checkpoint))
    return ChoiceSpec(graph.column(task), tuple(Candidate(rate) for rate in rates))


def rate_scores(
    graph: Graph, task: str, model: str, checkpoint: str
) -> dict[str, list[str]]:
    """The scores of each rate, in the order of the spec."""
    seed = graph.seeds(task, checkpoint)[0]
    return {
        "scores": [
            _scores(task, model, point, seed)
            for point in _points(graph, task, checkpoint)
        ]
    }


# The baseline


def candidates(graph: Graph) -> tuple[str, ...]:
    """The methods that the baseline is chosen from; none where there is no choice."""
    names = graph.config.evaluation.baselines
    return names if len(names) > 1 else ()


def places(graph: Graph) -> list[tuple[str, str]]:
    """Tasks and base models that each have a baseline of their own."""
    if not candidates(graph):
        return []
    return [(t, model) for t in graph.config.tasks for model in graph.models(t)]


def references(graph: Graph) -> str | tuple[Reference, ...]:
    """What methods are compared with, as tables are told: who is chosen is known later."""
    if not (names := candidates(graph)):
        return graph.config.evaluation.baselines[0]
    return tuple(Reference(*place, names) for place in places(graph))


def baseline_files(graph: Graph) -> list[str]:
    """Where the choices stand, in the order of ``places``."""
    return [paths.fill(paths.BASELINE, task=t, model=m) for t, m in places(graph)]


def baseline(graph: Graph, task: str) -> ChoiceSpec:
    return ChoiceSpec(
        graph.column(task),
        tuple(
            Candidate(name, len(graph.seeds(task, name))) for name in candidates(graph)
        ),
    )


def baseline_scores(graph: Graph, task: str, model: str) -> dict[str, list[str]]:
    """The scores of each candidate under each of its seeds, in the order of the spec."""
    found = [
        cell for cell in _validated(graph) if (cell.task, cell.model) == (task, model)
    ]
    return {"scores": [paths.of_cell(paths.SCORES, cell) for cell in found]}


def _validated(graph: Graph) -> Iterator[Cell]:
    for task, model in places(graph):
        for name in candidates(graph):
            for seed in graph.seeds(task, name):
                yield Cell(task, model, name, paths.VALIDATION, seed)


# Both


def answered(graph: Graph) -> list[Cell]:
    """All whose answers on the validation split decide something."""
    return [*points(graph), *_validated(graph)]


def _scores(task: str, model: str, checkpoint: str, seed: int) -> str:
    cell = Cell(task, model, checkpoint, paths.VALIDATION, seed)
    return paths.of_cell(paths.SCORES, cell)
