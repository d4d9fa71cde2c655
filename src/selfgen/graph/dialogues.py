"""From the configuration of dialogues to files, cells and specs: what is packed into the
rows of a node, and whose loss on held-out ones is measured."""

from __future__ import annotations

from selfgen.config.dialogues import Dialogues
from selfgen.config.methods import Trained
from selfgen.evaluation.held_out_spec import LossSpec
from selfgen.graph.steps import Graph
from selfgen.mixing.blocks import BlocksSpec
from selfgen.mixing.spec import RowsSpec
from selfgen.report.spec import Cell


def of(graph: Graph, task: str, node: str) -> Dialogues | None:
    """The dialogues that a node trains on, if its stage says so."""
    method = graph.nodes[node].method
    if not isinstance(method, Trained):
        return None
    name = graph.stage(task, method).dialogues
    return graph.config.dialogues[name] if name else None


def rows(graph: Graph, task: str, node: str, seed: int) -> RowsSpec | BlocksSpec:
    """How the rows of a node are made."""
    found = of(graph, task, node)
    if found is None:
        return graph.rows(task, node, seed)
    stage = graph.stage(task, graph.nodes[node].method)
    return BlocksSpec(
        found.train_rows, found.block_tokens, seed, stage.epochs, stage.batch_size
    )


def cells(graph: Graph) -> list[Cell]:
    """Whose loss is measured: every node that trains on dialogues."""
    return [
        Cell(task, model, node, "direct", seed)
        for task, model, node, seed in graph.trained()
        if of(graph, task, node)
    ]


def path(cell: Cell) -> str:
    """The file of a cell's losses."""
    folder = f"results/losses/{cell.task}/{cell.model}/{cell.method}"
    return f"{folder}/seed{cell.seed}.parquet"


def loss(graph: Graph, task: str, node: str) -> LossSpec:
    found = of(graph, task, node)
    return LossSpec(found.test_rows, found.block_tokens, graph.device())
