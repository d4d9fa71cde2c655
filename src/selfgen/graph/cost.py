"""From the configuration to what a run would take: tokens, parameters, questions to judges.

Counts are what a run takes at most: prompts and answers are of unknown length before they are
there, and are counted at the lengths that the configuration allows.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from selfgen.benchmarks import JUDGED
from selfgen.config import sources as c
from selfgen.config.judging import Endpoint
from selfgen.core.errors import UserError
from selfgen.graph import benchmarks, dialogues, judging, paths
from selfgen.graph.steps import Graph
from selfgen.methods.base import CORRECTION_TOKENS
from selfgen.mixing.blocks import BlocksSpec
from selfgen.models import shapes
from selfgen.report import plan as report
from selfgen.report.plan import (
    DIALOGUE_TOKENS,
    DRAWING,
    READING,
    TRAINING,
    WRITING,
    Asked,
    Disk,
    Work,
)

JUDGE_PROMPT_TOKENS = 256
"""Of what a judge is told beside the texts, about."""


def works(graph: Graph) -> list[Work]:
    """All work of models, one entry for each step, task and model."""
    parts = (_trained, _passes, _answers, _benchmarks, _losses)
    merged: dict[tuple[str, str, str], Work] = {}
    for work in itertools.chain.from_iterable(part(graph) for part in parts):
        key = (work.step, work.task, work.model)
        merged[key] = merged[key] + work if key in merged else work
    return list(merged.values())


def _trained(graph: Graph) -> Iterator[Work]:
    for task, model, checkpoint, seed in graph.trained():
        spec = dialogues.rows(graph, task, checkpoint, seed)
        if isinstance(spec, BlocksSpec):
            tokens = spec.rows * spec.epochs * DIALOGUE_TOKENS
            yield Work(TRAINING, task, model, 1, tokens)
            continue
        cost = graph.trained_method(checkpoint).cost(
            spec.prompt.max_prompt_tokens, spec.prompt.max_answer_tokens
        )
        rounds = graph.checkpoints[checkpoint].rounds
        rows = (spec.rows[1] - spec.rows[0]) * spec.epochs
        tokens, before = (n * rows // rounds for n in (cost.trained, cost.before))
        yield Work(TRAINING, task, model, 1, tokens, before)


def _passes(graph: Graph) -> Iterator[Work]:
    """Every pass once, though several methods may read it."""
    seen = set()
    for task, model, checkpoint, seed in graph.trained():
        passed = graph.passed(task, checkpoint)
        file = graph.pass_file(task, model, checkpoint, seed)
        if passed is None or file in seen:
            continue
        seen.add(file)
        spec = passed.spec
        rows = (spec.rows[1] - spec.rows[0]) * spec.epochs * spec.candidates
        prompt, answer = spec.prompt.max_prompt_tokens, spec.prompt.max_answer_tokens
        step = WRITING if spec.kind == "free" else DRAWING
        yield _written(step, task, model, rows, prompt, answer)


def _answers(graph: Graph) -> Iterator[Work]:
    for cell in graph.cells():
        spec = graph.answers(cell.task, cell.method, cell.decoding, cell.seed)
        prompt, answer = spec.prompt.max_prompt_tokens, spec.prompt.max_answer_tokens
        if cell.decoding == "corrected":
            prompt += answer + CORRECTION_TOKENS
        rows = _held_out(graph, cell.task)
        yield _written(WRITING, cell.task, cell.model, rows, prompt, answer)


def _benchmarks(graph: Graph) -> Iterator[Work]:
    for name in benchmarks.names(graph):
        for cell in benchmarks.cells(graph, name):
            size = benchmarks.work(graph, name)
            yield _written(WRITING, cell.task, cell.model, *size)


def _losses(graph: Graph) -> Iterator[Work]:
    for cell in dialogues.cells(graph):
        rows = dialogues.loss(graph, cell.task, cell.method).rows
        yield Work(READING, cell.task, cell.model, 1, read=rows * DIALOGUE_TOKENS)


def _written(
    step: str, task: str, model: str, rows: int, prompt: int, answer: int
) -> Work:
    """Of a model that writes ``rows`` answers, with the tokens of a prompt and an answer."""
    return Work(step, task, model, 1, read=rows * prompt, written=rows * answer)


def _held_out(graph: Graph, task: str) -> int:
    rows = graph.records(task).rows
    return sum(rows[split] for split in graph.record_splits(task))


def asked(graph: Graph) -> Iterator[Asked]:
    """Questions to judges behind an endpoint."""
    for name in judging.names(graph):
        comparison = graph.config.evaluation.win_rates[name]
        judge = graph.config.judges[comparison.judge]
        if not isinstance(judge, Endpoint):
            continue
        orders = 2 if comparison.orders == "both" else 1
        requests = tokens = 0
        for cell in judging.cells(graph, name):
            task = graph.config.tasks[cell.task]
            rows = orders * _held_out(graph, cell.task)
            texts = task.max_prompt_tokens + 2 * task.max_new_tokens
            requests += rows
            tokens += rows * (texts + JUDGE_PROMPT_TOKENS)
        replies = requests * comparison.max_tokens
        yield _priced(name, judge, requests, tokens, replies)
    for name in benchmarks.judged(graph):
        items, prompt, answer = benchmarks.work(graph, name)
        judge, reply = benchmarks.judge(graph, name), JUDGED[name].reply_tokens
        requests = items * len(benchmarks.cells(graph, name))
        texts = prompt + 2 * answer + JUDGE_PROMPT_TOKENS
        yield _priced(name, judge, requests, requests * texts, requests * reply)


def _priced(
    what: str, judge: Endpoint, requests: int, prompts: int, replies: int
) -> Asked:
    dollars = (prompts * judge.input_price + replies * judge.output_price) / 1e6
    return Asked(what, judge.model, requests, prompts, replies, dollars, judge.budget)


def parameters(graph: Graph) -> dict[str, int]:
    """Parameters of every base model, without its weights.

    Raises UserError: a model whose size nothing says.
    """
    return {name: _parameters(graph, name) for name in graph.config.models}


def _parameters(graph: Graph, name: str) -> int:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    model = graph.config.models[name]
    with torch.device("meta"):
        if isinstance(model, c.HubModel) and model.shape:
            return shapes.build(model.shape).num_parameters()
        if isinstance(model, c.RandomModel):
            from selfgen.models.base import create

            return create(graph.model(name))[0].num_parameters()
        local = Path(getattr(model, "path", ""))
        for folder in (Path(paths.fill(paths.BASE, model=name)), local):
            if (folder / "config.json").exists():
                config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
                return AutoModelForCausalLM.from_config(config).num_parameters()
    raise UserError(
        f"plan: models.{name}: its size is not known; say its shape, or make"
        f" results/base/{name} first"
    )


def disk(graph: Graph, sizes: dict[str, int], works: Sequence[Work]) -> Disk:
    """What the run leaves on the disk; ``sizes`` of base models, and all ``works``."""
    kept: Counter[str] = Counter()
    rounds: Counter[str] = Counter()
    for _, model, checkpoint, _ in graph.trained():
        if checkpoint == graph.checkpoints[checkpoint].declared:
            kept[model] += 1
            rounds[model] += graph.checkpoints[checkpoint].rounds > 1
    models = graph.config.models.items()
    bases = {k: (sizes[k], isinstance(model, c.HubModel)) for k, model in models}
    return report.disk(bases, kept, rounds, works)
