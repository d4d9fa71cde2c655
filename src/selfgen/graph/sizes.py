"""Sizes of a configuration that no machine has: the one place that knows what each key takes.

Estimates are low: what is refused here cannot run. What may just not fit, a step finds before
it allocates (``core.memory.ask``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfgen.config import sources as c
from selfgen.config.synthetic import Synthetic
from selfgen.core.errors import UserError
from selfgen.core.memory import shown
from selfgen.data.records import RECORD_BYTES
from selfgen.graph import paths
from selfgen.graph.steps import Graph
from selfgen.methods.base import Trained
from selfgen.mixing.order import ROW_BYTES
from selfgen.models import sizes
from selfgen.models.loading import SMALL_MODEL
from selfgen.models.shapes import SHAPES

LARGEST = 24 * 2**40
"""Memory of the largest machines that one can rent."""

JOB_BYTES = 20_000
"""Of a job in Snakemake."""


@dataclass(frozen=True)
class Need:
    """What the ``value`` of a key takes at least: bytes of memory of one job."""

    key: str
    value: int
    bytes: float
    what: str


def check(graph: Graph | Synthetic, memory: int = LARGEST) -> None:
    """Raises UserError, in one line a key, where a size takes more than ``memory`` bytes."""
    problems = {
        need.key: f"config: {need.key}: found {need.value}: {need.what} takes"
        f" {shown(need.bytes)} of memory, there are {shown(memory)}"
        for need in _needs(graph)
        if need.bytes > memory
    }
    # A model that is too large makes its rows too long as well.
    models = {key: text for key, text in problems.items() if ".architecture." in key}
    if problems:
        raise UserError("\n".join((models or problems).values()))


def _needs(graph: Graph | Synthetic) -> Iterator[Need]:
    if not isinstance(graph, Synthetic):
        yield from _of_graph(graph)
        return
    for name in graph.experiments:
        for need in _of_graph(Graph(graph.of(name))):
            key = need.key.replace(f"tasks.{name}.", "task.", 1)
            key = key.replace(f"models.{name}.", "model.", 1)
            where = key if key == "seeds" else f"experiments.{name}.{key}"
            yield Need(where, need.value, need.bytes, need.what)


def _of_graph(graph: Graph) -> Iterator[Need]:
    config = graph.config
    shapes = {name: _shape(graph, name) for name in config.models}
    yield from _jobs(graph)
    for name, model in config.models.items():
        if isinstance(model, c.RandomModel):
            yield from _random(name, model, shapes[name])
    for name, stage in config.stages.items():
        for model_name, shape in shapes.items() if stage.lora else ():
            rank = stage.lora.rank if stage.lora else 0
            what = f"its adapters of models.{model_name}"
            taken = sizes.lora_bytes(shape, rank)
            yield Need(f"stages.{name}.lora.rank", rank, taken, what)
    for name in config.tasks:
        yield from _records(graph, name)
        yield from _training(graph, name)
    for name, pairs in config.preferences.items():
        yield _list(f"preferences.{name}.rows", pairs.rows, "pairs")
    for name, dialogues in config.dialogues.items():
        for key in ("train_rows", "test_rows"):
            rows = getattr(dialogues, key)
            yield _list(f"dialogues.{name}.{key}", rows, "dialogues")
    for lengths, models in _rows(graph):
        for model_name in models:
            yield _row(graph, lengths, model_name, shapes[model_name])


def _rows(graph: Graph) -> Iterator[tuple[dict[str, int], list[str]]]:
    """The keys whose values together are the tokens of a row, and the models of it."""
    config, models = graph.config, list(graph.config.models)
    for name, task in config.tasks.items():
        where = f"tasks.{name}"
        prompt = {f"{where}.max_prompt_tokens": task.max_prompt_tokens}
        yield (
            prompt | {f"{where}.max_new_tokens": task.max_new_tokens},
            graph.models(name),
        )
        if oracle := config.evaluation.oracle:
            length = {"evaluation.oracle.lengths": max(oracle.lengths)}
            yield prompt | length, graph.models(name)
    for name, section in config.evaluation.benchmarks().items():
        keys = ("max_prompt_tokens", "max_new_tokens")
        where = f"evaluation.{name.replace('-', '_')}"
        given = {
            f"{where}.{k}": getattr(section, k) for k in keys if hasattr(section, k)
        }
        if given:
            yield given, models
    for name, pairs in config.preferences.items():
        yield {f"preferences.{name}.max_tokens": pairs.max_tokens}, models
    for name, dialogues in config.dialogues.items():
        yield {f"dialogues.{name}.block_tokens": dialogues.block_tokens}, models


def _list(key: str, rows: int, of: str) -> Need:
    return Need(key, rows, rows * RECORD_BYTES, f"a list of such {of}")


def _random(
    name: str, model: c.RandomModel, shape: Mapping[str, Any]
) -> Iterator[Need]:
    """Of the weights, by the number without which they would be smallest."""
    numbers = {k: v for k, v in model.architecture.items() if isinstance(v, int)}
    taken = {key: sizes.model_bytes({**shape, key: 1}) for key in numbers}
    if numbers:
        key = min(taken, key=lambda one: taken[one])
        where = f"models.{name}.architecture.{key}"
        whole = sizes.model_bytes(shape)
        yield Need(where, numbers[key], whole, "a model of such layers")


def _jobs(graph: Graph) -> Iterator[Need]:
    config = graph.config
    number = sum(
        len(graph.models(name))
        * len(graph.methods(name))
        * len(task.seeds or config.seeds)
        for name, task in config.tasks.items()
    )
    what = f"a graph of {number} trainings"
    yield Need("seeds", len(config.seeds), number * JOB_BYTES, what)


def _records(graph: Graph, name: str) -> Iterator[Need]:
    task = graph.config.tasks[name]
    for key in ("train_rows", "validation_rows", "test_rows"):
        yield _list(f"tasks.{name}.{key}", getattr(task, key), "records")


def _training(graph: Graph, name: str) -> Iterator[Need]:
    task = graph.config.tasks[name]
    for key, method in graph.methods(name).items():
        if not isinstance(method, Trained):
            continue
        stage = graph.stage(name, method)
        where = f"stages.{task.stages.get(method.stage, method.stage)}"
        rows = min(task.train_rows, stage.rows or task.train_rows) * stage.epochs
        what = f"a plan of {rows} rows"
        yield Need(f"{where}.epochs", stage.epochs, rows * ROW_BYTES, what)
        drawing = method.drawing(0)
        if drawing and drawing.candidates > 1:
            drafts = rows * drawing.candidates
            what = f"a list of {drafts} drafts"
            found = drawing.candidates
            yield Need(f"methods.{key}.candidates", found, drafts * ROW_BYTES, what)


def _row(
    graph: Graph, lengths: Mapping[str, int], model: str, shape: Mapping[str, Any]
) -> Need:
    """Of one row, by the key that makes it long."""
    config = graph.config
    small = sizes.parameters(shape) < SMALL_MODEL and config.device == "cpu"
    random = isinstance(config.models[model], c.RandomModel)
    fp32 = config.precision == "fp32" or (
        config.precision == "auto" and small and random
    )
    key = max(lengths, key=lambda name: lengths[name])
    tokens = sum(lengths.values())
    taken = tokens * sizes.token_bytes(shape, sizes.FP32 if fp32 else sizes.BF16)
    what = f"one row of {tokens} tokens of models.{model}"
    return Need(key, lengths[key], taken, what)


def _shape(graph: Graph, name: str) -> dict[str, Any]:
    """The configuration of a base model, as far as it is known before anything is made."""
    model = graph.config.models[name]
    if isinstance(model, c.RandomModel):
        vocabulary = len(model.characters or ()) or 256
        return {"vocab_size": vocabulary, **model.architecture}
    if isinstance(model, c.HubModel | c.GgufModel) and model.shape:
        return SHAPES[model.shape]
    for folder in (
        graph.sources.folder(model),
        Path(paths.fill(paths.BASE, model=name)),
    ):
        file = folder and folder / "config.json"
        if file and file.is_file():
            try:
                found = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue  # the reader of models says what is wrong with it
            return found if isinstance(found, dict) else {}
    return {}
