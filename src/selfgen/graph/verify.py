"""From the configuration and a file of known numbers to what is held against what."""

from __future__ import annotations

from selfgen.config import checked, files
from selfgen.config.values import Value, Values
from selfgen.core.errors import UserError
from selfgen.core.provenance import spec_digest
from selfgen.core.spec import to_json
from selfgen.graph import benchmarks, dialogues, judging, paths, tuning
from selfgen.graph.steps import Graph
from selfgen.report.spec import Cell
from selfgen.report.tables.verify import NATS, Known


def known_numbers(graph: Graph) -> tuple[Known, ...]:
    """Numbers that others measured; none where the configuration names no file.

    Raises UserError: the file cannot be read, or a value in it is wrong.
    """
    name = graph.config.evaluation.values
    if name is None:
        return ()
    path = graph.root / name
    try:
        raw = files.value(path)
    except UserError as error:
        where = "config: evaluation.values: "
        raise UserError(str(error).replace("config: ", where)) from None
    try:
        values = checked(Values, raw if isinstance(raw, dict) else {"values": raw})
    except UserError as error:
        raise UserError(str(error).replace("config:", f"{name}:")) from None
    return tuple(Known(value, _manifests(graph, value)) for value in values.values)


def judges(graph: Graph) -> dict[str, str]:
    """Who decides what stands in a table, by its name."""
    compared = judging.judges(graph).items()
    return {f"win-rates-{name}": judge for name, judge in compared} | {
        name: benchmarks.judge(graph, name).model for name in benchmarks.judged(graph)
    }


def _manifests(graph: Graph, value: Value) -> dict[str, str]:
    """The manifests of all that is behind a row, from passes to its answers or losses, with
    digests of today's specs."""
    digests: dict[str, str] = {}
    wanted = {"decoding": "direct"} | value.row
    for cell in graph.cells():
        row = {
            key: getattr(cell, key) for key in ("task", "model", "method", "decoding")
        }
        if any(wanted.get(key) != name for key, name in row.items()):
            continue
        checkpoint = cell.method
        while parent := graph.checkpoints[checkpoint].parent:
            digests |= _made(graph, cell, checkpoint)
            checkpoint = parent
        if value.table in NATS and dialogues.of(graph, cell.task, cell.method):
            loss = to_json(dialogues.loss(graph, cell.task, cell.method))
            digests[paths.manifest(dialogues.path(cell))] = spec_digest(loss)
            continue
        spec = graph.answers(cell.task, cell.method, cell.decoding, cell.seed)
        answers = to_json(spec)
        path = paths.manifest(paths.of_cell(paths.ANSWERS, cell))
        digests[path] = spec_digest(answers)
    return digests


def _made(graph: Graph, cell: Cell, checkpoint: str) -> dict[str, str]:
    """The manifests of a checkpoint's pass, rows and weights, with their digests today."""
    task, model, seed = cell.task, cell.model, cell.seed
    address = {"checkpoint": checkpoint, "task": task, "model": model, "seed": seed}
    rows = dialogues.rows(graph, task, checkpoint, seed)
    train = tuning.train(graph, task, checkpoint, seed)
    specs: dict[str, object] = {
        paths.manifest(paths.fill(paths.ROWS, **address)): rows,
        paths.fill(paths.TRAINED, **address): train,
    }
    if passed := graph.passed(task, checkpoint):
        drawn = graph.generation(task, passed.generator, passed.name, seed)
        specs[paths.manifest(graph.pass_file(task, model, checkpoint, seed) or "")] = (
            drawn
        )
    return {path: spec_digest(to_json(spec)) for path, spec in specs.items()}
