"""From the configuration of dialogues to files, cells and specs: what is packed into the
rows of a checkpoint, and whose loss on held-out ones is measured."""

from __future__ import annotations

from selfgen.config.dialogues import Dialogues
from selfgen.evaluation.held_out_spec import LossSpec
from selfgen.graph import paths
from selfgen.graph.steps import Graph
from selfgen.methods import Rows
from selfgen.methods.base import Trained
from selfgen.mixing.blocks import BlocksSpec
from selfgen.report.spec import Cell


def of(graph: Graph, task: str, checkpoint: str) -> Dialogues | None:
    """The dialogues that a checkpoint trains on, if its stage says so."""
    method = graph.checkpoints[checkpoint].method
    if not isinstance(method, Trained):
        return None
    name = graph.stage(task, method).dialogues
    return graph.config.dialogues[name] if name else None


def step(graph: Graph, task: str, checkpoint: str) -> str:
    """The step that makes the rows of a checkpoint."""
    return "pack_dialogues" if of(graph, task, checkpoint) else "mix_rows"


def rows(graph: Graph, task: str, checkpoint: str, seed: int) -> Rows | BlocksSpec:
    """How the rows of a checkpoint are made."""
    dialogues = of(graph, task, checkpoint)
    if dialogues is None:
        return graph.rows(task, checkpoint, seed)
    stage = graph.stage(task, graph.trained_method(checkpoint))
    return BlocksSpec(
        dialogues.train_rows,
        dialogues.block_tokens,
        seed,
        stage.epochs,
        stage.batch_size,
    )


def cells(graph: Graph) -> list[Cell]:
    """Whose loss is measured: every checkpoint that trains on dialogues."""
    return [
        Cell(task, model, checkpoint, "direct", seed)
        for task, model, checkpoint, seed in graph.trained()
        if of(graph, task, checkpoint)
    ]


def path(cell: Cell) -> str:
    """The file of a cell's losses."""
    return paths.of_cell(paths.LOSSES, cell)


def loss(graph: Graph, task: str, checkpoint: str) -> LossSpec:
    dialogues = of(graph, task, checkpoint)
    if dialogues is None:
        raise ValueError(f"{checkpoint} of {task} trains on no dialogues")
    return LossSpec(dialogues.test_rows, dialogues.block_tokens, graph.device())
