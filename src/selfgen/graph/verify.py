"""From the configuration and a file of known numbers to what is held against what."""

from __future__ import annotations

import yaml

from selfgen.config import checked
from selfgen.config.values import Value, Values
from selfgen.core.errors import UserError
from selfgen.core.provenance import spec_digest
from selfgen.core.spec import to_json
from selfgen.graph import dialogues
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
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"config: evaluation.values: {said}") from None
    try:
        found = checked(Values, raw if isinstance(raw, dict) else {"values": raw})
    except UserError as error:
        raise UserError(str(error).replace("config:", f"{name}:")) from None
    return tuple(Known(value, _manifests(graph, value)) for value in found.values)


def judges(graph: Graph) -> dict[str, str]:
    """Who decides what stands in a table, by its name."""
    evaluation, judges = graph.config.evaluation, graph.config.judges
    asked = {f"win-rates-{name}": c.judge for name, c in evaluation.win_rates.items()}
    for name, benchmark in (
        ("alpaca-eval", evaluation.alpaca_eval),
        ("mt-bench", evaluation.mt_bench),
    ):
        if benchmark:
            asked[name] = benchmark.judge
    return {
        table: getattr(judges[name], "model", "a proxy")
        for table, name in asked.items()
    }


def _manifests(graph: Graph, value: Value) -> dict[str, str]:
    """The manifests of all that is behind a row, from passes to its answers or losses, with
    digests of today's specs."""
    found: dict[str, str] = {}
    row = value.row
    task, model, method = (row.get(key) for key in ("task", "model", "method"))
    decoding = row.get("decoding", "direct")
    for cell in graph.cells():
        if (cell.task, cell.model, cell.method, cell.decoding) != (
            *(task, model, method),
            decoding,
        ):
            continue
        node = cell.method
        while graph.nodes[node].parent is not None:
            found |= _made(graph, cell, node)
            node = graph.nodes[node].parent
        if value.table in NATS and dialogues.of(graph, task, method):
            loss = to_json(dialogues.loss(graph, task, method))
            path = dialogues.path(cell).replace(".parquet", ".json")
            found[path] = spec_digest(loss)
            continue
        answers = to_json(graph.answers(task, method, decoding, cell.seed))
        for shard in graph.answer_shards(task, model, method, decoding, cell.seed):
            found[shard.replace(".parquet", ".json")] = spec_digest(answers)
    return found


def _made(graph: Graph, cell: Cell, node: str) -> dict[str, str]:
    """The manifests of a node's pass, rows and weights, with digests of today's specs."""
    task, model, seed = cell.task, cell.model, cell.seed
    rows = dialogues.rows(graph, task, node, seed)
    train = graph.train(task, node, seed)
    specs: dict[str, object] = {
        f"results/rows/{task}/{model}/{node}/seed{seed}.json": rows,
        f"results/models/{task}/{model}/{node}/seed{seed}/manifest.json": train,
    }
    if passed := graph.passed(node):
        drawn = graph.generation(task, passed.generator, passed.name, seed)
        for shard in graph.pass_shards(task, model, node, str(seed)):
            specs[shard.replace(".parquet", ".json")] = drawn
    return {path: spec_digest(to_json(spec)) for path, spec in specs.items()}
